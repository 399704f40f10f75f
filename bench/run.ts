import { randomBytes } from 'node:crypto';
import type { Behind, Contestant, Front } from './contestants/contestant.ts';
import { tokenOf } from './contestants/penstock.ts';
import { CORES, createPlace, type Place } from './place.ts';
import { summarise, type Row, type Sample } from './summary.ts';
import type { Workload } from './workloads/workload.ts';
import { measure } from './wrk.ts';

export interface Effort {
  readonly rounds: number;
  /** Of each turn. */
  readonly seconds: number;
  /** Each contestant has answered so many calls before anything counts: V8 compiles what is called often, and only then. */
  readonly warmUpCalls: number;
}

export interface RunOptions {
  readonly effort: Effort;
  readonly tell: (text: string) => void;
}

/** What a workload showed, a row for each contestant and number of connections. */
export interface Result {
  readonly workload: Workload;
  readonly rows: readonly Row[];
}

/** Runs one workload: all contestants stand ready all the time and are measured in turns, so that no hour favours one. */
export async function run(workload: Workload, options: RunOptions): Promise<Result> {
  const place = createPlace();
  try {
    const contest = await open(workload, place);
    await seeThatAllAnswerAlike(contest);
    return { workload, rows: summarise(await takeTurns(contest, options)) };
  } finally {
    await place.close();
  }
}

interface Entrant {
  readonly contestant: Contestant;
  readonly front: Front;
}

interface Contest {
  readonly workload: Workload;
  readonly entrants: readonly Entrant[];
  readonly token: string;
  /** The processor of everything but the contestants. */
  readonly core: number | undefined;
}

async function open(workload: Workload, place: Place): Promise<Contest> {
  const { measured, rest } = workload.isOnOneCore ? CORES : { measured: undefined, rest: undefined };
  const secret = randomBytes(32).toString('hex');
  const instances = await workload.startInstances(place, rest);
  const behind: Behind = { ...workload, instances, core: measured, secret };
  const entrants: Entrant[] = [];
  for (const contestant of workload.contestants) {
    entrants.push({ contestant, front: await contestant.start(place, behind) });
  }
  return { workload, entrants, token: tokenOf(secret), core: rest };
}

/** A contestant that answers something else, however fast, is not measured. */
async function seeThatAllAnswerAlike({ workload, entrants, token }: Contest): Promise<void> {
  const { sample, path } = workload;
  const texts = new Map<string, string>();
  for (const { contestant, front } of entrants) {
    const headers = { ...(sample.headers as Record<string, string> | undefined), authorization: `Bearer ${token}` };
    const response = await fetch(`http://${front.addresses[0] ?? ''}${front.prefix}${path}`, { ...sample, headers });
    texts.set(contestant.id, `${response.status} ${await response.text()}`);
  }
  const kinds = new Set(texts.values());
  if (kinds.size !== 1 || ![...kinds].join().startsWith('200 ')) {
    throw new Error(`not all answer alike: ${JSON.stringify(Object.fromEntries(texts))}`);
  }
}

async function takeTurns({ workload, entrants, token, core }: Contest, options: RunOptions): Promise<Sample[]> {
  const { effort, tell } = options;
  const samples: Sample[] = [];
  let seed = 0;
  const turn = ({ contestant, front }: Entrant, connections: number, seconds: number) =>
    measure({ workload, contestant, front, connections, seconds, token, core, seed: (seed += 1) });

  const most = Math.max(...workload.connections);
  for (const entrant of entrants) {
    tell(`${workload.id}: warming ${entrant.contestant.title}`);
    for (let calls = 0; calls < effort.warmUpCalls;) {
      const { requests } = await turn(entrant, most, effort.seconds);
      if (requests === 0) throw new Error(`${entrant.contestant.title} answers nothing`);
      calls += requests;
    }
  }
  for (let round = 0; round < effort.rounds; round += 1) {
    for (const connections of workload.connections) {
      for (const entrant of rotated(entrants, round)) {
        tell(`${workload.id}: round ${round + 1}, ${connections} connections, ${entrant.contestant.title}`);
        const measurement = await turn(entrant, connections, effort.seconds);
        samples.push({ contestant: entrant.contestant, connections, measurement });
      }
    }
  }
  return samples;
}

/** Another one begins each round, so that none always comes after the same. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const first = by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}
