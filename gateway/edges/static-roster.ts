import type { Clock } from '../domain/clock.ts';
import type { Roster, RosterEntry, RosterSource } from '../domain/roster.ts';

/** A service and the origins of its instances, as written down by hand. */
export interface StaticService {
  readonly service: string;
  readonly instances: readonly string[];
}

/** A source that never changes by itself. */
export interface StaticSource extends RosterSource {
  /** Other instances may be written down now, as after a reload; they are listed with the next `follow`. */
  replace(services: readonly StaticService[]): void;
}

interface StaticSourceOptions {
  readonly services: readonly StaticService[];
  readonly clock: Clock;
  readonly onRoster: (roster: Roster) => void;
}

/** The instances that stand in the configuration. Only the active checks watch them. */
export function createStaticSource({ services, clock, onRoster }: StaticSourceOptions): StaticSource {
  let listed = entriesByService(services);
  let published: string | undefined;

  return {
    name: 'static',
    follow(wanted) {
      const followed = [...listed].filter(([service]) => wanted.has(service));
      const text = JSON.stringify(followed);
      if (text === published) return;
      published = text;
      onRoster({ source: 'static', services: new Map(followed), updatedMs: clock.wallMs() });
    },
    replace(next) {
      listed = entriesByService(next);
    },
    age: () => ({ source: 'static', ageSeconds: 0, isStale: false, isKnown: true }),
    close: () => Promise.resolve(),
  };
}

function entriesByService(services: readonly StaticService[]): ReadonlyMap<string, readonly RosterEntry[]> {
  const byService = new Map<string, RosterEntry[]>();
  for (const { service, instances } of services) {
    const entries = byService.get(service) ?? [];
    const known = new Set(entries.map(({ id }) => id));
    const added = instances.map(toEntry).filter(({ id }) => !known.has(id) && known.add(id));
    byService.set(service, [...entries, ...added]);
  }
  return byService;
}

function toEntry(url: string): RosterEntry {
  const { protocol, hostname, port } = new URL(url);
  const id = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  return {
    ...{ id, origin: `${protocol}//${id}`, source: 'static', weight: 1, health: 'passing', healthNote: null },
    ...{ version: null, model: null, concurrency: undefined },
  };
}
