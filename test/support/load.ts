import { setTimeout } from 'node:timers/promises';
import { Pool } from 'undici';
import { until } from './until.ts';

/** One call of a load, and what its answer must be. */
export interface LoadCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** What the answer's body must be, where it is 200. */
  readonly expected?: string;
}

/** How a load went. */
export interface Tally {
  readonly calls: number;
  /** How often each end came: a status, with its code where there is one; an error's code; or "wrong answer". */
  readonly ends: Readonly<Record<string, number>>;
}

/** Calls under way, over and over. */
export interface Load {
  readonly done: number;
  /** Waits until so many more calls have ended. */
  more(calls: number): Promise<void>;
  /** Begins no more, waits for those under way, and tells. */
  stop(): Promise<Tally>;
}

interface LoadTraits {
  readonly url: string;
  /** How many call at once, each on a connection of its own. */
  readonly connections?: number;
  /** What each rests between two calls. */
  readonly restMs?: number;
  readonly make: (number: number) => LoadCall;
}

const MORE_MS_MAX = 120_000;

/** Starts a load. A call that finds no gateway is no call that was in hand, and is told by its error. */
export function startLoad({ url, connections = 16, restMs = 0, make }: LoadTraits): Load {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const ends: Record<string, number> = {};
  let begun = 0;
  let done = 0;
  let isStopping = false;

  const callOnce = async () => {
    begun += 1;
    const end = await perform(pool, make(begun));
    ends[end] = (ends[end] ?? 0) + 1;
    done += 1;
  };
  const callOnAndOn = async () => {
    while (!isStopping) {
      await callOnce();
      if (restMs > 0) await setTimeout(restMs);
    }
  };
  const callers = Array.from({ length: connections }, callOnAndOn);

  return {
    get done() {
      return done;
    },
    more(calls) {
      const goal = done + calls;
      return until(() => done >= goal, `${goal} calls`, MORE_MS_MAX);
    },
    async stop() {
      isStopping = true;
      await Promise.all(callers);
      await pool.close();
      return { calls: done, ends };
    },
  };
}

async function perform(pool: Pool, { expected, headers = {}, ...wanted }: LoadCall): Promise<string> {
  try {
    const answer = await pool.request({ ...wanted, headers });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) return `${answer.statusCode}${codeIn(text)}`;
    return text === (expected ?? text) ? '200' : 'wrong answer';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

function codeIn(text: string): string {
  const code = /"code":"([A-Z_]+)"/.exec(text)?.[1];
  return code === undefined ? '' : ` ${code}`;
}
