/**
 * A value that changes, and those who want to know.
 *
 * `subscribe` and `snapshot` are what React's `useSyncExternalStore` takes, and need no binding;
 * in Svelte and others they are two lines of their own.
 */
export class State<T> {
  #value: T;
  readonly #until: AbortSignal | undefined;
  readonly #listeners = new Set<() => void>();

  /** The value changes no more once `until` is aborted. */
  constructor(value: T, until?: AbortSignal) {
    this.#value = value;
    this.#until = until;
  }

  /** Returns the value as it is now; the same object until it changes. Don't change it. */
  readonly snapshot = (): T => this.#value;

  /** Calls `listener` after every change; returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Takes the next value. A listener that throws is reported and keeps nobody else from hearing. */
  set(value: T): void {
    if (this.#until?.aborted) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        console.error("greffier: a listener failed", error);
      }
    }
  }
}
