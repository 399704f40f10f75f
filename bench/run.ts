import { randomBytes } from 'node:crypto';
import { cpuMsOf } from './cpu-time.ts';
import { factsOf, type Behind, type Contestant, type Front } from './contestants/contestant.ts';
import { tokenOf } from './contestants/penstock.ts';
import type { Load } from './load/load.ts';
import { wrk } from './load/wrk.ts';
import { CORES, createPlace, type Place } from './place.ts';
import type { Effort, Race } from './results.ts';
import { startNothing } from './upstreams/nothing.ts';
import { summarise, type Measurement, type Sample } from './summary.ts';
import type { Workload } from './workloads/workload.ts';

/** Of the warm-up before the instances themselves. */
const WARM_UP_TURN_SECONDS = 4;
const REHEARSAL_TURN_SECONDS = 2;
/** A rehearsal ends after so many turns, on however slow a machine. */
const REHEARSAL_TURNS_MAX = 10;
/** Callers in a rehearsal. */
const REHEARSAL_CONNECTIONS = 64;

export interface RunOptions {
  readonly effort: Effort;
  readonly tell: (text: string) => void;
}

/** Runs one workload: all contestants stand ready all the time and are measured in turns, so that no hour favours one. */
export async function run(workload: Workload, options: RunOptions): Promise<Race> {
  const place = createPlace();
  try {
    const contest = await open(workload, place);
    await seeThatAllAnswerAlike(contest);
    await warmUp(contest, options);
    const { id, title, about, connections, columns, expectations } = workload;
    const contestants = workload.contestants.map(factsOf);
    const rows = summarise(await takeTurns(contest, options));
    return { id, title, about, connections, columns, expectations, contestants, rows };
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
  readonly instances: readonly string[];
  readonly tokenOf: (subject: string) => string;
  /** The processor of everything but the contestants. */
  readonly core: number | undefined;
  /** Another number at each call. */
  readonly nextSeed: () => number;
}

async function open(workload: Workload, place: Place): Promise<Contest> {
  const { measured, rest } = workload.isOnOneCore ? CORES : { measured: undefined, rest: undefined };
  const secret = randomBytes(32).toString('hex');
  const instances = await workload.startInstances(place, rest);
  const [rehearsal = ''] = await startNothing(place, 'rehearsal', rest);
  const behind: Behind = { ...workload, instances, core: measured, secret, rehearsal };
  const entrants: Entrant[] = [];
  for (const contestant of workload.contestants) {
    entrants.push({ contestant, front: await contestant.start(place, behind) });
  }
  let seed = 0;
  const tokens = { tokenOf: (subject: string) => tokenOf(secret, subject) };
  return { workload, entrants, instances, ...tokens, core: rest, nextSeed: () => (seed += 1) };
}

/** A contestant that answers something else, however fast, is not measured. */
async function seeThatAllAnswerAlike({ workload, entrants, tokenOf: token }: Contest): Promise<void> {
  const { sample, path } = workload;
  const texts = new Map<string, string>();
  for (const { contestant, front } of entrants) {
    const authorization = `Bearer ${token('bench')}`;
    const headers = { ...(sample.headers as Record<string, string> | undefined), authorization };
    const response = await fetch(`http://${front.addresses[0] ?? ''}${front.prefix}${path}`, { ...sample, headers });
    texts.set(contestant.id, `${response.status} ${await response.text()}`);
  }
  const kinds = new Set(texts.values());
  if (kinds.size !== 1 || ![...kinds].join().startsWith('200 ')) {
    throw new Error(`not all answer alike: ${JSON.stringify(Object.fromEntries(texts))}`);
  }
}

/**
 * V8 compiles what is called often, and is not done with a gateway before its hundred thousandth call or so. R answers
 * so many in a quarter of an hour; so what runs on V8 rehearses before an upstream that does nothing, then all are
 * called as they will be.
 */
async function warmUp(contest: Contest, { effort, tell }: RunOptions): Promise<void> {
  const { workload, entrants } = contest;
  const { load, warmUp: first = load } = workload;
  const connections = Math.max(...workload.connections);
  for (const entrant of entrants) {
    tell(`${workload.id}: warming ${entrant.contestant.title}`);
    await rehearse(contest, entrant, effort);
    const { requests } = await measure(contest, { entrant, load: first, connections, seconds: WARM_UP_TURN_SECONDS });
    if (requests === 0) throw new Error(`${entrant.contestant.title} answers nothing`);
  }
}

async function rehearse(contest: Contest, { contestant, front }: Entrant, { rehearsalCalls }: Effort): Promise<void> {
  const { rehearsalPrefix } = front;
  if (rehearsalPrefix === undefined) return;
  const entrant = { contestant, front: { ...front, prefix: rehearsalPrefix } };
  const turn = { entrant, load: wrk('fuel.lua'), connections: REHEARSAL_CONNECTIONS, seconds: REHEARSAL_TURN_SECONDS };
  for (let calls = 0, turns = 0; calls < rehearsalCalls && turns < REHEARSAL_TURNS_MAX; turns += 1) {
    calls += (await measure(contest, turn)).requests;
  }
}

async function takeTurns(contest: Contest, { effort, tell }: RunOptions): Promise<Sample[]> {
  const { workload, entrants } = contest;
  const { load } = workload;
  const samples: Sample[] = [];
  for (const [index, { round, connections, seconds }] of lapsOf(workload, effort).entries()) {
    for (const entrant of rotated(entrants, index)) {
      tell(`${workload.id}: round ${round}, ${connections} connections, ${entrant.contestant.title}`);
      const measurement = await measure(contest, { entrant, load, connections, seconds });
      samples.push({ contestant: factsOf(entrant.contestant), connections, measurement });
    }
  }
  return samples;
}

/** In which each contestant has one turn. */
interface Lap {
  readonly round: number;
  readonly connections: number;
  readonly seconds: number;
}

/**
 * A caller alone feels all that disturbs the machine, which comes and goes within seconds; there the time of a turn is
 * given in laps of a second each, so that it falls on everyone.
 */
function lapsOf({ connections, turnsTake = 1 }: Workload, { rounds, seconds }: Effort): Lap[] {
  const time = seconds * turnsTake;
  const lapsAt = (round: number, callers: number): Lap[] =>
    callers === 1
      ? Array.from({ length: time }, () => ({ round, connections: callers, seconds: 1 }))
      : [{ round, connections: callers, seconds: time }];
  return Array.from({ length: rounds }, (_, i) => connections.flatMap(callers => lapsAt(i + 1, callers))).flat();
}

/** Another one begins each lap, so that none always comes after the same. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const first = by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

interface Turn {
  readonly entrant: Entrant;
  readonly load: Load;
  readonly connections: number;
  readonly seconds: number;
}

async function measure(contest: Contest, { entrant, load, connections, seconds }: Turn): Promise<Measurement> {
  const { front, contestant } = entrant;
  await untilIdle(contest.instances);
  const before = cpuOf(front);
  const figures = await load({
    ...{ front, connections, seconds, path: contest.workload.path, core: contest.core, tokenOf: contest.tokenOf },
    ...{ isClosedByCallers: contestant.isClosedByCallers ?? false, seed: contest.nextSeed() },
    instances: contest.instances,
  });
  const after = cpuOf(front);
  const cpuMs = before === undefined || after === undefined ? undefined : after - before;
  return {
    ...figures,
    perSecond: ((figures.requests - figures.refused) / figures.durationMs) * 1000,
    cpuUsPerRequest: cpuMs === undefined ? undefined : (cpuMs * 1000) / figures.requests,
  };
}

/**
 * R finishes what callers of the last turn have left in its socket, in the order it came: it is the next contestant's
 * time, unless somebody waits for it.
 */
async function untilIdle(instances: readonly string[]): Promise<void> {
  await Promise.all(
    instances.map(async instance => {
      const response = await fetch(`http://${instance}/ping`, { headers: { connection: 'close' } });
      await response.arrayBuffer();
    }),
  );
}

function cpuOf({ pid }: Front): number | undefined {
  return pid === undefined ? undefined : cpuMsOf(pid);
}
