import { Counter, Histogram, type Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** What a family of series is called, means, and is told apart by. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** A family of counters. */
export interface Tally {
  /** Counts one, for these values of the labels in their order. */
  add(...values: string[]): void;
  /** Removes the series whose labels do not meet the condition. */
  keepWhere(isWanted: (labels: Labels) => boolean): void;
}

/**
 * Counts in plain numbers and tells prom-client only when somebody asks.
 *
 * A request touches four counters, and prom-client spends half a microsecond on each to look its labels up and check
 * them again.
 */
export function createTally(registry: Registry, family: Family): Tally {
  const counts = new Map<string, { readonly labels: Labels; count: number }>();
  if (family.labelNames.length === 0) counts.set('', { labels: {}, count: 0 });
  new Counter({
    ...familyOptions(registry, family),
    collect() {
      this.reset();
      for (const { labels, count } of counts.values()) this.inc(labels, count);
    },
  });

  return {
    add(...values) {
      const key = values.join('\0');
      const known = counts.get(key);
      if (known === undefined) counts.set(key, { labels: labelled(family, values), count: 1 });
      else known.count += 1;
    },
    keepWhere(isWanted) {
      for (const [key, { labels }] of counts) if (!isWanted(labels)) counts.delete(key);
    },
  };
}

/** A family of histograms, told apart by one label. */
export interface Distribution {
  observe(value: string, amount: number): void;
  /** Removes the series whose label does not meet the condition. */
  keepWhere(isWanted: (labels: Labels) => boolean): void;
}

/** 1 ms, which the quickest model takes, to 60 s, twice what a route allows by default. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Durations, observed in milliseconds and shown in seconds. */
export function createDurations(registry: Registry, family: Family): Distribution {
  return createDistribution(registry, family, { buckets: SECONDS, shown: ms => ms / 1000 });
}

/** From one row, which nobody joined, to as many as a route may allow. */
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_000, 10_000];

/** Numbers of rows. */
export function createRowCounts(registry: Registry, family: Family): Distribution {
  return createDistribution(registry, family, { buckets: ROWS, shown: rows => rows });
}

interface Scale {
  readonly buckets: number[];
  readonly shown: (amount: number) => number;
}

/** Of one series, what prom-client has not been told of yet; then it is, of all in one go. */
const UNTOLD_MAX = 512;

interface Child {
  readonly labels: Labels;
  readonly untold: number[];
  tell(): void;
}

/**
 * Histograms that hear of what was observed when somebody asks for them, or when much has gathered.
 *
 * Told of one at a time, between other work, each costs several times as much.
 */
function createDistribution(registry: Registry, family: Family, { buckets, shown }: Scale): Distribution {
  const children = new Map<string, Child>();
  const histogram = new Histogram({
    ...familyOptions(registry, family),
    buckets,
    collect() {
      for (const child of children.values()) child.tell();
    },
  });

  const adopt = (value: string): Child => {
    const labels = labelled(family, [value]);
    const own = histogram.labels(labels);
    const untold: number[] = [];
    const tell = () => {
      for (const amount of untold) own.observe(shown(sound(amount)));
      untold.length = 0;
    };
    const child = { labels, untold, tell };
    children.set(value, child);
    return child;
  };

  return {
    observe(value, amount) {
      const child = children.get(value) ?? adopt(value);
      child.untold.push(amount);
      if (child.untold.length >= UNTOLD_MAX) child.tell();
    },
    keepWhere(isWanted) {
      for (const [value, { labels }] of children) {
        if (isWanted(labels)) continue;
        histogram.remove(labels);
        children.delete(value);
      }
    },
  };
}

/** How prom-client is told of a family. */
export function familyOptions(registry: Registry, { name, help, labelNames }: Family) {
  return { name, help, labelNames: [...labelNames], registers: [registry] };
}

function labelled({ labelNames }: Family, values: readonly string[]): Labels {
  return Object.fromEntries(labelNames.map((name, i) => [name, values[i] ?? '']));
}

// prom-client throws on what is no number, and whoever observes must never be hurt by it.
function sound(amount: number): number {
  return Number.isFinite(amount) ? Math.max(0, amount) : 0;
}
