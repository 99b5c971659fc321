/**
 * Makes a reload of `run`, which never rejects: one at a time, and a call meanwhile has it run once
 * more, so that what changed after it began is not missed. None begins once `until` is aborted.
 */
export function reload(run: () => Promise<void>, until: AbortSignal): () => Promise<void> {
  let running: Promise<void> | undefined;
  let again = false;
  const loop = async () => {
    while (again && !until.aborted) {
      again = false;
      await run();
    }
    running = undefined;
  };
  return () => {
    again = true;
    running ??= loop();
    return running;
  };
}
