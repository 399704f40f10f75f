/** So many calls of a route are kept. */
const CALLS = 64;

const ROUTES_MAX = 1_000;

/** Fewer say nothing; and after so many more they are looked through again. */
const CALLS_MIN = 32;
const LOOK_EVERY = 8;

/** What was learned holds for so long after the last call. */
const KNOWN_FOR_MS = 60_000;

/** Only where a call is shorter does it matter that R waits for the next. */
const USUAL_MS_MAX = 20;

/** Nineteen of twenty calls take less than so many times the usual. */
const SPREAD_MAX = 2;

/** How long calls of a route take that are short and steady. */
export interface Steady {
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** Learns by route whether calls are short and steady. */
export class SteadyTimes {
  readonly #routes = new Map<string, RouteTimes>();

  note(routeId: string, durationMs: number, nowMs: number): void {
    const known = this.#routes.get(routeId);
    if (known === undefined && this.#routes.size >= ROUTES_MAX) this.#routes.clear(); // after many reloads
    const times = known ?? new RouteTimes();
    if (known === undefined) this.#routes.set(routeId, times);
    times.note(durationMs, nowMs);
  }

  /** Undefined where they are not, or not yet known to be. */
  of(routeId: string, nowMs: number): Steady | undefined {
    return this.#routes.get(routeId)?.steady(nowMs);
  }
}

class RouteTimes {
  readonly #durations = new Float64Array(CALLS);
  #calls = 0;
  #notedMs = -Infinity;
  #steady: Steady | undefined = undefined;

  note(durationMs: number, nowMs: number): void {
    if (nowMs - this.#notedMs > KNOWN_FOR_MS) this.#calls = 0;
    this.#notedMs = nowMs;
    this.#durations[this.#calls % CALLS] = durationMs;
    this.#calls += 1;
    if (this.#calls < CALLS_MIN) this.#steady = undefined;
    else if (this.#calls % LOOK_EVERY === 0) this.#look();
  }

  steady(nowMs: number): Steady | undefined {
    return nowMs - this.#notedMs <= KNOWN_FOR_MS ? this.#steady : undefined;
  }

  #look(): void {
    const known = Math.min(this.#calls, CALLS);
    const sorted = this.#durations.slice(0, known).sort();
    const p50Ms = sorted[Math.floor(known * 0.5)] ?? Infinity;
    const p95Ms = sorted[Math.floor(known * 0.95)] ?? Infinity;
    this.#steady = p50Ms < USUAL_MS_MAX && p95Ms < SPREAD_MAX * p50Ms ? { p50Ms, p95Ms } : undefined;
  }
}
