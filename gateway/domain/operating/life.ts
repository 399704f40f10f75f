import type { Observe } from '../events.ts';
import type { Clock } from '../clock.ts';
import type { RosterAge } from '../roster.ts';

/**
 * What the process is doing.
 *
 *   starting → ready      the listeners are open and the first rosters are known
 *   ready    → draining   told to stop: unready, still taking requests, so that load balancers can turn away first
 *   draining → refusing   new requests get 503 DRAINING, those in hand are finished
 *   refusing → stopped
 *
 * It never goes back, and may skip what there is no time for.
 */
const PHASES = ['starting', 'ready', 'draining', 'refusing', 'stopped'] as const;

/** Where in its life the process is. */
export type Phase = (typeof PHASES)[number];

/** Which configuration serves, and why not a newer one. */
export interface ConfigState {
  readonly generation: number;
  /** Milliseconds since 1970. */
  readonly loadedMs: number;
  /** Why the file as it is now is not in use; null when it is. */
  readonly error: string | null;
}

/** `GET /readyz`. */
export interface Readiness {
  readonly ready: boolean;
  readonly config: { readonly generation: number; readonly loadedAt: string; readonly error: string | null };
  readonly roster: Readonly<Record<string, { readonly ageSeconds: number | null; readonly stale: boolean }>>;
  /** Why it is not ready; empty when it is. */
  readonly reasons: readonly string[];
}

/** The life of the process, as far as others see it. */
export interface Life {
  readonly phase: Phase;
  /** The listeners are open: from now on the rosters decide. */
  opened(): void;
  /** A source has answered, or time has passed: becomes ready if nothing is missing any more. */
  reconsider(): void;
  /** Goes on to a later phase; an earlier one is ignored. */
  advance(phase: Phase, note: string): void;
  readiness(config: ConfigState): Readiness;
}

interface LifeOptions {
  readonly clock: Clock;
  readonly rosterAges: () => readonly RosterAge[];
  readonly observe: Observe;
}

/**
 * A source that tells nothing holds readiness up so long while another has reported its services: a dead Consul must not
 * keep a gateway from serving what it starts itself, and a live one answers long before.
 */
const FIRST_ROSTER_MS_MAX = 10_000;

/** The life of a process that has just started. */
export function createLife({ clock, rosterAges, observe }: LifeOptions): Life {
  const startedMs = clock.nowMs();
  let phase: Phase = 'starting';
  let isOpen = false;

  const advance = (wanted: Phase, note: string) => {
    if (PHASES.indexOf(wanted) <= PHASES.indexOf(phase)) return;
    phase = wanted;
    observe({ kind: 'process', phase, note });
  };
  const missing = () => missingSources(rosterAges(), clock.nowMs() - startedMs);
  const reconsider = () => {
    if (isOpen && missing().length === 0) advance('ready', 'taking requests');
  };

  return {
    get phase() {
      return phase;
    },
    opened() {
      isOpen = true;
      reconsider();
    },
    reconsider,
    advance,
    readiness(config) {
      reconsider();
      return {
        ready: phase === 'ready',
        config: {
          generation: config.generation,
          loadedAt: new Date(config.loadedMs).toISOString(),
          error: config.error,
        },
        roster: Object.fromEntries(rosterAges().map(toRosterState)),
        reasons: reasonsOf(phase, missing()),
      };
    },
  };
}

function missingSources(rosters: readonly RosterAge[], upMs: number): string[] {
  const unknown = rosters.filter(({ isKnown }) => !isKnown);
  const isLate = upMs > FIRST_ROSTER_MS_MAX && unknown.length < rosters.length;
  return isLate ? [] : unknown.map(({ source }) => source);
}

function reasonsOf(phase: Phase, missing: readonly string[]): string[] {
  if (phase === 'ready') return [];
  if (phase !== 'starting') return [phase];
  return missing.length === 0 ? ['starting'] : missing.map(source => `no roster from ${source} yet`);
}

function toRosterState({ source, ageSeconds, isStale, isKnown }: RosterAge) {
  return [source, { ageSeconds: isKnown ? ageSeconds : null, stale: isStale || !isKnown }] as const;
}
