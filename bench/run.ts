import { randomBytes } from 'node:crypto';
import { cpuTimeOf, type CpuTime } from './process-figures.ts';
import { factsOf, type Behind, type Contestant, type Front } from './contestants/contestant.ts';
import { tokenOf } from './contestants/penstock.ts';
import type { Load } from './load/load.ts';
import { CORES, createPlace, type Place } from './place.ts';
import type { Effort, Race, RehearsalEffort } from './results.ts';
import { startNothing } from './upstreams/upstreams.ts';
import { median, summarise, type Measurement, type Row, type Sample } from './summary.ts';
import type { Workload } from './workloads/workload.ts';

/** Of the warm-up before the instances themselves. */
const WARM_UP_TURN_SECONDS = 4;
const REHEARSAL_TURN_SECONDS = 2;
/** V8 is done when a call costs no less than so much of what it cost at best. */
const WARM_SHARE = 0.97;

/** So many calls after a start are its first ones. */
const FIRST_CALLS = 1_000;
const FIRST_CALLS_SECONDS = 3;

export interface RunOptions {
  readonly effort: Effort;
  readonly report: (text: string) => void;
}

/** Runs one workload: all contestants stand ready all the time and are measured in turns, so that no hour favours one. */
export async function run(workload: Workload, options: RunOptions): Promise<Race> {
  const place = createPlace();
  try {
    const contest = await open(workload, place);
    await seeThatAllAnswerAlike(contest);
    const firsts = workload.areFirstCallsMeasured === true ? await measureFirstCalls(contest, options) : undefined;
    await warmUp(contest, options);
    const { id, title, short, about, connections, columns, expectations } = workload;
    const contestants = workload.contestants.map(factsOf);
    const rows = summarise(await takeTurns(contest, options)).map((row): Row => ({
      ...row,
      firstCpuUsPerRequest: firsts?.get(row.contestant.id),
    }));
    return { id, title, short, about, connections, columns, expectations, contestants, rows };
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
  readonly behind: Behind;
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
  const [rehearsal = ''] = await startNothing(place, 'rehearsal', { core: rest });
  const behind: Behind = { ...workload, instances, core: measured, secret, rehearsal };
  const entrants: Entrant[] = [];
  for (const contestant of workload.contestants) {
    entrants.push({ contestant, front: await contestant.start(place, behind) });
  }
  let seed = 0;
  const tokens = { tokenOf: (subject: string) => tokenOf(secret, subject) };
  return { workload, entrants, behind, ...tokens, core: rest, nextSeed: () => (seed += 1) };
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

/** What a call costs of the first after a start: of each that V8 compiles, started anew each time, the middle. */
async function measureFirstCalls(contest: Contest, { effort, report }: RunOptions): Promise<Map<string, number>> {
  const firsts = new Map<string, number>();
  const compiled = contest.entrants.filter(({ front }) => front.rehearsal !== undefined);
  for (const { contestant } of compiled) {
    report(`${contest.workload.id}: the first calls of ${contestant.title}`);
    const costsUs: number[] = [];
    while (costsUs.length < effort.rounds) costsUs.push(await measureStart(contest, contestant));
    firsts.set(contestant.id, median(costsUs));
  }
  return firsts;
}

async function measureStart(contest: Contest, contestant: Contestant): Promise<number> {
  const place = createPlace();
  try {
    const entrant = { contestant, front: await contestant.start(place, contest.behind) };
    const { load, connections: some } = contest.workload;
    const turn = { entrant, load, connections: Math.max(...some), seconds: FIRST_CALLS_SECONDS, calls: FIRST_CALLS };
    const { cpuUsPerRequest = NaN, requests } = await measure(contest, turn);
    return (cpuUsPerRequest * requests) / FIRST_CALLS; // those still on their way at the end are counted, too
  } finally {
    await place.close();
  }
}

/**
 * V8 compiles what is called often, and is not done with a gateway before its hundred thousandth call or so. R answers
 * so many in a quarter of an hour; so what runs on V8 rehearses before an upstream that does nothing, then all are
 * called as they will be.
 */
async function warmUp(contest: Contest, { effort, report }: RunOptions): Promise<void> {
  const { workload, entrants } = contest;
  const { load, warmUp: first = load } = workload;
  const connections = Math.max(...workload.connections);
  for (const entrant of entrants) {
    report(`${workload.id}: warming ${entrant.contestant.title}`);
    await rehearse(contest, entrant, { effort, report });
    const { requests } = await measure(contest, { entrant, load: first, connections, seconds: WARM_UP_TURN_SECONDS });
    if (requests === 0) throw new Error(`${entrant.contestant.title} answers nothing`);
  }
}

async function rehearse(
  contest: Contest,
  { contestant, front }: Entrant,
  { effort, report }: RunOptions,
): Promise<void> {
  if (front.rehearsal === undefined) return;
  const { prefix, connections } = front.rehearsal;
  const entrant = { contestant, front: { ...front, prefix } };
  const turn = { entrant, load: contest.workload.rehearsal, connections, seconds: REHEARSAL_TURN_SECONDS };
  const turns: Measurement[] = [];
  while (!isRehearsed(turns, effort.rehearsal)) turns.push(await measure(contest, turn));
  const costs = turns.map(({ cpuUsPerRequest = NaN }) => Math.round(cpuUsPerRequest));
  report(`  rehearsed with ${sumOf(turns)} calls, µs a call: ${costs.join(' ')}`);
}

/** Whether enough was rehearsed: a call of the last turn cost no less than of the best before it, or there is no more time. */
export function isRehearsed(turns: readonly Measurement[], { callsMin, turnsMax }: RehearsalEffort): boolean {
  const costs = turns.map(({ cpuUsPerRequest = NaN }) => cpuUsPerRequest);
  const last = costs.pop();
  if (last === undefined || turns.length >= turnsMax) return turns.length >= turnsMax;
  return sumOf(turns) >= callsMin && !(last < WARM_SHARE * Math.min(...costs));
}

function sumOf(turns: readonly Measurement[]): number {
  return turns.reduce((sum, { requests }) => sum + requests, 0);
}

async function takeTurns(contest: Contest, { effort, report }: RunOptions): Promise<Sample[]> {
  const { workload, entrants } = contest;
  const { load } = workload;
  const samples: Sample[] = [];
  for (const [index, { round, connections, seconds }] of lapsOf(workload, effort).entries()) {
    for (const entrant of rotated(entrants, index)) {
      report(`${workload.id}: round ${round}, ${connections} connections, ${entrant.contestant.title}`);
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
  readonly calls?: number;
}

async function measure(contest: Contest, { entrant, load, ...turn }: Turn): Promise<Measurement> {
  const { front, contestant } = entrant;
  const { instances } = contest.behind;
  await untilIdle(instances);
  const before = await usedBy(front);
  const figures = await load({
    ...{ ...turn, front, instances, path: contest.workload.path, core: contest.core, tokenOf: contest.tokenOf },
    ...{ isClosedByCallers: contestant.isClosedByCallers ?? false, seed: contest.nextSeed() },
  });
  const after = await usedBy(front);
  const perRequest = (figure: (used: Used) => number | undefined) => {
    const [began, ended] = [before, after].map(used => (used === undefined ? undefined : figure(used)));
    return began === undefined || ended === undefined ? undefined : (ended - began) / figures.requests;
  };
  return {
    ...figures,
    perSecond: ((figures.requests - figures.refused) / figures.durationMs) * 1000,
    cpuUsPerRequest: perRequest(({ totalUs }) => totalUs),
    v8CpuUsPerRequest: perRequest(({ v8Us, allocatedBytes }) => (allocatedBytes === undefined ? undefined : v8Us)),
    allocatedBytesPerRequest: perRequest(({ allocatedBytes }) => allocatedBytes),
  };
}

/**
 * R finishes what callers of the last turn have left in its socket, in the order it came: it is the next contestant's
 * time, unless a caller waits for it.
 */
async function untilIdle(instances: readonly string[]): Promise<void> {
  await Promise.all(
    instances.map(async instance => {
      const response = await fetch(`http://${instance}/ping`, { headers: { connection: 'close' } });
      await response.arrayBuffer();
    }),
  );
}

/** What a contestant has used since it began. */
interface Used extends CpuTime {
  readonly allocatedBytes: number | undefined;
}

async function usedBy({ process: one }: Front): Promise<Used | undefined> {
  const cpu = one === undefined ? undefined : cpuTimeOf(one.pid);
  return cpu === undefined ? undefined : { ...cpu, allocatedBytes: (await one?.memory?.())?.allocatedBytes };
}
