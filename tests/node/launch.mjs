// Starts a browser without a window that asks nothing of the internet.
import { chromium } from "playwright-core";

export const launch = (executablePath, ...more) =>
  chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
