import { toGatewayError, GatewayError } from '../errors.ts';
import type { Clock } from '../clock.ts';

/** Of plug-ins: how long one may take, unless it says so itself, and at most. */
export const PLUGIN_TIMEOUT_MS = { usual: 1_000, max: 30_000 };

/** Outcome whenever code of a plug-in begins and ends, so that one that blocks the loop can be named. */
export interface PluginWatch {
  /** Returns what `leave` is to be told. */
  enter(plugin: string): number;
  leave(before: number): void;
}

/** Where none is watched: `check` and `explain`. */
export const NO_WATCH: PluginWatch = { enter: () => 0, leave: () => undefined };

/** What running plug-ins takes. */
export interface PluginPorts {
  readonly clock: Pick<Clock, 'after'>;
  /** Another one once the gateway runs. */
  watch: PluginWatch;
}

/** A plug-in threw, never settled, or returned rubbish: it costs its own call a 500, and no other. */
export class PluginFailure extends GatewayError {
  /** The name of its predicate, filter or middleware. */
  readonly plugin: string;

  constructor(plugin: string, message: string, cause?: unknown) {
    super('PLUGIN_FAILED', `${plugin}: ${message}`, {
      cause,
      detail: `The plug-in ${plugin} of this gateway failed.`,
    });
    this.plugin = plugin;
  }
}

/** What waits for a plug-in, and goes on: a call. */
export interface WaitingCall {
  waitsFor: { leave(reason: GatewayError): void } | undefined;
  /** Unless it has ended meanwhile; what is thrown is its failure. */
  resume(next: () => void): void;
}

/** Runs code of a plug-in; what it throws becomes a failure that names it. */
export function guarded<T>(plugin: string, { watch }: PluginPorts, run: () => T): T {
  const before = watch.enter(plugin);
  try {
    return run();
  } catch (error) {
    throw error instanceof PluginFailure ? error : new PluginFailure(plugin, 'threw', error);
  } finally {
    watch.leave(before);
  }
}

/** A result that a plug-in may not give. A promise that nothing waits for must not end as an error that nothing caught. */
export function rubbish(plugin: string, what: string, value: unknown): PluginFailure {
  if (value instanceof Promise) {
    value.catch(() => undefined);
    return new PluginFailure(plugin, `${what} returned a promise: what must be waited for belongs into \`prepare\``);
  }
  return new PluginFailure(plugin, `${what} returned rubbish`);
}

interface AboutWait<P> {
  readonly plugin: string;
  readonly timeoutMs: number | undefined;
  readonly ports: PluginPorts;
  readonly prepare: (signal: AbortSignal) => Promise<P>;
  readonly keep: (prepared: P) => void;
}

interface Outcome {
  readonly done: () => void;
  readonly failed: (failure: GatewayError) => void;
}

/**
 * Thrown where a plug-in must wait for something before it can say what it is asked. Who catches it waits, and asks again:
 * then the plug-in knows.
 */
export class PluginWait<P = unknown> extends Error {
  readonly #about: AboutWait<P>;

  constructor(about: AboutWait<P>) {
    super(`${about.plugin} has to wait`);
    this.#about = about;
  }

  /** Waits with a call, and goes on with `next`. The call's end ends it. */
  within(call: WaitingCall, next: () => void): void {
    call.waitsFor = this.#begin({
      done: () => call.resume(next),
      failed: failure => {
        call.resume(() => {
          throw failure;
        });
      },
    });
  }

  /** Waits where there is no call. */
  settled(): Promise<void> {
    return new Promise((done, failed) => {
      this.#begin({ done, failed });
    });
  }

  #begin({ done, failed }: Outcome) {
    const { plugin, timeoutMs = PLUGIN_TIMEOUT_MS.usual, ports, keep } = this.#about;
    const controller = new AbortController();
    let isOver = false;
    const end = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      cancel();
      settle();
    };
    const cancel = ports.clock.after(timeoutMs, () =>
      end(() => {
        const failure = new PluginFailure(plugin, `\`prepare\` did not settle within ${timeoutMs} ms`);
        controller.abort(failure);
        failed(failure);
      }),
    );
    this.#prepared(controller.signal).then(
      prepared =>
        end(() => {
          keep(prepared);
          done();
        }),
      (error: unknown) => end(() => failed(toGatewayError(error))),
    );
    return { leave: (reason: GatewayError) => end(() => controller.abort(reason)) };
  }

  async #prepared(signal: AbortSignal): Promise<P> {
    const { plugin, ports, prepare } = this.#about;
    try {
      return await guarded(plugin, ports, () => prepare(signal));
    } catch (error) {
      throw error instanceof PluginFailure ? error : new PluginFailure(plugin, '`prepare` rejected', error);
    }
  }
}
