"""From audio frames to captions: windows, voice activity, segments, engines."""
