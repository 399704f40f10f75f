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
  /** Counts one, for these values of the labels, three at most, in their order. */
  add(first?: string, second?: string, third?: string): void;
  /** Removes the series whose labels do not meet the condition. */
  keepWhere(isWanted: (labels: Labels) => boolean): void;
}

/**
 * Counts in plain numbers and tells prom-client only when the metrics are read.
 *
 * A request touches four counters, and prom-client spends half a microsecond on each to look its labels up and check
 * them again.
 */
export function createTally(registry: Registry, family: Family): Tally {
  const counts = new Set<Count>();
  /** By the first label, then the second, then the third: a look makes no text of them. */
  const byLabel = new Map<string, Map<string, Map<string, Count>>>();
  if (family.labelNames.length === 0) adopt('', '', '');
  new Counter({
    ...familyOptions(registry, family),
    collect() {
      this.reset();
      for (const { labels, count } of counts) this.inc(labels, count);
    },
  });

  function adopt(first: string, second: string, third: string): Count {
    const made = { labels: labelled(family, [first, second, third]), count: 0 };
    counts.add(made);
    const bySecond = byLabel.get(first) ?? new Map<string, Map<string, Count>>();
    const byThird = bySecond.get(second) ?? new Map<string, Count>();
    byLabel.set(first, bySecond.set(second, byThird.set(third, made)));
    return made;
  }

  return {
    add(first = '', second = '', third = '') {
      const count = byLabel.get(first)?.get(second)?.get(third) ?? adopt(first, second, third);
      count.count += 1;
    },
    keepWhere(isWanted) {
      for (const count of counts) {
        if (isWanted(count.labels)) continue;
        counts.delete(count);
        const { first, second, third } = placeOf(family, count.labels);
        byLabel.get(first)?.get(second)?.delete(third);
      }
      for (const [first, bySecond] of byLabel) {
        for (const [second, byThird] of bySecond) if (byThird.size === 0) bySecond.delete(second);
        if (bySecond.size === 0) byLabel.delete(first);
      }
    },
  };
}

interface Count {
  readonly labels: Labels;
  count: number;
}

function placeOf({ labelNames }: Family, labels: Labels) {
  const [first = '', second = '', third = ''] = labelNames.map(name => labels[name]);
  return { first, second, third };
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

/** From one row, which travelled alone, to as many as a route may allow. */
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_000, 10_000];

/** Numbers of rows. */
export function createRowCounts(registry: Registry, family: Family): Distribution {
  return createDistribution(registry, family, { buckets: ROWS, shown: rows => rows });
}

interface Scale {
  readonly buckets: number[];
  readonly shown: (amount: number) => number;
}

/** Of one series, what prom-client has not been given yet; then it is, all in one go. */
const UNFLUSHED_MAX = 512;

interface Child {
  readonly labels: Labels;
  readonly unflushed: number[];
  flush(): void;
}

/**
 * Histograms that are given what was observed when they are read, or when much has gathered.
 *
 * Given one at a time, between other work, each costs several times as much.
 */
function createDistribution(registry: Registry, family: Family, { buckets, shown }: Scale): Distribution {
  const children = new Map<string, Child>();
  const histogram = new Histogram({
    ...familyOptions(registry, family),
    buckets,
    collect() {
      for (const child of children.values()) child.flush();
    },
  });

  const adopt = (value: string): Child => {
    const labels = labelled(family, [value]);
    const own = histogram.labels(labels);
    const unflushed: number[] = [];
    const flush = () => {
      for (const amount of unflushed) own.observe(shown(sound(amount)));
      unflushed.length = 0;
    };
    const child = { labels, unflushed, flush };
    children.set(value, child);
    return child;
  };

  return {
    observe(value, amount) {
      const child = children.get(value) ?? adopt(value);
      child.unflushed.push(amount);
      if (child.unflushed.length >= UNFLUSHED_MAX) child.flush();
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

/** How prom-client is given a family. */
export function familyOptions(registry: Registry, { name, help, labelNames }: Family) {
  return { name, help, labelNames: [...labelNames], registers: [registry] };
}

function labelled({ labelNames }: Family, values: readonly string[]): Labels {
  return Object.fromEntries(labelNames.map((name, i) => [name, values[i] ?? '']));
}

// prom-client throws on what is no number, and an error here must not reach the call that is observed.
function sound(amount: number): number {
  return Number.isFinite(amount) ? Math.max(0, amount) : 0;
}
