import { accessSync, constants } from 'node:fs';
import type { Observe } from '../domain/events.ts';
import { ConcurrencyLimit } from '../domain/concurrency-limit.ts';
import type { Clock, Random } from '../domain/clock.ts';
import type { Roster, RosterEntry, RosterSource } from '../domain/roster.ts';
import { createRKeeper, type RKeeper } from './r-keeper.ts';
import type { Models } from './onnx/transport.ts';
import type { LocalScript, Scripts } from './rscript/transport.ts';

/** A service that the gateway runs itself. */
export type LocalService = PlumberService | ScriptService | OnnxService;

/** One whose R processes it starts: so many, or one Rserve that forks so many. */
interface PlumberService {
  readonly kind: 'plumber' | 'rserve';
  readonly service: string;
  /** Its file, or the folder of it; absolute. */
  readonly entry: string;
  readonly instances: number;
  /** Names of further variables of the gateway's environment that R is given. */
  readonly env: readonly string[];
}

/** A script that it runs for each call. */
interface ScriptService extends Omit<LocalScript, 'file' | 'env'> {
  readonly kind: 'script';
  /** Absolute. */
  readonly script: string;
  readonly env: readonly string[];
}

/** A model that it runs without R. */
interface OnnxService extends Omit<PlumberService, 'kind' | 'entry'> {
  readonly kind: 'onnx';
  /** Absolute. */
  readonly onnx: string;
}

/** What `discovery.local` names, and what its processes are started and watched with. */
export interface LocalSourceOptions {
  readonly scripts: Pick<Scripts, 'keep'>;
  readonly models: Pick<Models, 'keep'>;
  readonly entries: readonly LocalService[];
  /** The path of `plumber-services/serve.sh`. */
  readonly serveCommand: string;
  /** The gateway's own environment; R gets a few variables of it, and those that its entry names. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What R is to ask of its callers. */
  readonly sharedSecretOf: (service: string) => string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly observe: Observe;
  readonly onRoster: (roster: Roster) => void;
}

/** Starting R is heavy: so many at a time. */
const STARTS_MAX = 2;

/**
 * R processes of the gateway's own: started when their service is first wanted, watched, started again when they end,
 * and ended with the gateway. A service that is no longer wanted keeps its processes, as its route may come back.
 */
export function createLocalSource(options: LocalSourceOptions): RosterSource {
  const { entries, clock, onRoster } = options;
  const keepers = new Map<string, RKeeper[]>();
  const starts = new ConcurrencyLimit(() => STARTS_MAX);
  let wanted: ReadonlySet<string> = new Set();

  function publish(): void {
    const services = new Map<string, readonly RosterEntry[]>();
    for (const [service, kept] of keepers) {
      if (wanted.has(service))
        services.set(
          service,
          kept.map(keeper => keeper.entry()).filter(entry => entry !== null),
        );
    }
    onRoster({ source: 'local', services, updatedMs: clock.wallMs() });
  }

  function keep(local: LocalService): RKeeper[] {
    const env = environmentForR(options.env, local.env);
    if (local.kind === 'script') return [options.scripts.keep({ ...local, file: local.script, env }, publish)];
    if (local.kind === 'onnx') return [options.models.keep({ ...local, file: local.onnx, env }, publish)];
    const { service, entry, instances, kind } = local;
    const keeper = { ...options, service, entry, env, starts, onChange: publish };
    if (kind === 'rserve') return [createRKeeper({ ...keeper, forks: instances })];
    return Array.from({ length: instances }, () => createRKeeper(keeper));
  }

  return {
    name: 'local',
    follow(services) {
      wanted = services;
      for (const local of entries) {
        if (!services.has(local.service) || keepers.has(local.service)) continue;
        const siblings = entries.filter(({ service }) => service === local.service);
        keepers.set(local.service, siblings.flatMap(keep));
      }
      publish();
    },
    age() {
      const kept = [...keepers].filter(([service]) => wanted.has(service)).flatMap(([, of]) => of);
      return { source: 'local', ageSeconds: 0, isStale: false, isKnown: kept.every(keeper => keeper.hasBeenTried()) };
    },
    async close() {
      await Promise.all([...keepers.values()].flat().map(keeper => keeper.close()));
    },
  };
}

/** What R and its script find their way by. The rest of the environment is the gateway's: its secrets are in it. */
const GIVEN = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TZDIR', 'TMPDIR'],
  ...['LD_LIBRARY_PATH', 'DYLD_FALLBACK_LIBRARY_PATH', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'],
]);
const GIVEN_PREFIX = /^(LC|R|PLUMBER)_/;
/** What R asks of its callers is each service's own, and the gateway's to say. */
const WITHHELD = /^PLUMBER_SHARED_?SECRET$/;

function environmentForR(
  env: Readonly<Record<string, string | undefined>>,
  more: readonly string[],
): Readonly<Record<string, string>> {
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    const isUsual = (GIVEN.has(name) || GIVEN_PREFIX.test(name)) && !WITHHELD.test(name);
    if (more.includes(name) || (isUsual && isUsable(name, value))) given[name] = value;
  }
  return given;
}

/** A folder for temporary files may be that of the user who started the gateway, and closed to the one it runs as. */
function isUsable(name: string, value: string): boolean {
  if (name !== 'TMPDIR') return true;
  try {
    accessSync(value, constants.W_OK);
    return true;
  } catch {
    return false; // R uses the usual one.
  }
}
