/** The names of the agent's own errors; `code` has the number. `lost`: the agent can't be reached. */
export type ProblemName =
  | "bad_request"
  | "unsupported_version"
  | "forbidden"
  | "not_addressed"
  | "not_found"
  | "already_decided"
  | "conflict"
  | "expired"
  | "too_large"
  | "rate_limited"
  | "internal"
  | "unavailable"
  | "lost";

/** A call that the agent refused, or that did not reach it; `message` is a sentence for people. */
export class Problem extends Error {
  override readonly name = "Problem";

  /**
   * @param problem What is wrong; stable.
   * @param code The RPC error's number: 4000 and up are the agent's, 1400 to 1999 LiveKit's, 0 ours.
   * @param message A sentence for people.
   * @param data What the agent said about it, such as `retry_after` in seconds.
   */
  constructor(
    readonly problem: ProblemName,
    readonly code: number,
    message: string,
    readonly data: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }
}

const LOST = "The agent can't be reached at the moment.";

/** Makes a problem of what `performRpc` threw. */
export function problemOf(error: unknown): Problem {
  const { code, message, data } = error as { code?: unknown; message?: unknown; data?: unknown };
  if (typeof code !== "number" || code < 4000) {
    return new Problem("lost", typeof code === "number" ? code : 0, LOST);
  }
  const details = objectOf(data);
  return new Problem(
    (details.code as ProblemName | undefined) ?? (code < 5000 ? "bad_request" : "internal"),
    code,
    String(message),
    details,
  );
}

function objectOf(data: unknown): Record<string, unknown> {
  try {
    return (JSON.parse(String(data)) as Record<string, unknown> | null) ?? {};
  } catch {
    return {}; // An error without data of ours, such as a plugin's.
  }
}
