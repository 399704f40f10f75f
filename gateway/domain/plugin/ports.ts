import type { Clock } from '../clock.ts';

/** Told whenever code of a plug-in begins and ends, so that one that blocks the loop can be named. */
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
