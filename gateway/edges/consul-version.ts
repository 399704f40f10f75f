import type { Observe } from '../domain/events.ts';
import type { Clock } from '../domain/clock.ts';
import { createConsulClient, type ConsulAddress } from './consul-client.ts';

/** The oldest Consul that the gateway is tested with; docs/operating.md names the newest. */
const OLDEST = '1.8';

const ASK_MS_MAX = 5_000;

interface ConsulVersionOptions {
  readonly config: Pick<ConsulAddress, 'address' | 'token'>;
  readonly clock: Clock;
  readonly observe: Observe;
}

/** Asks the agent once which version it is, and warns of one that is too old. Who may not read that is not warned. */
export function checkConsulVersion({ config, clock, observe }: ConsulVersionOptions): { close(): void } {
  const client = createConsulClient({ ...config, datacenter: undefined });
  const giveUp = new AbortController();
  const cancel = clock.after(ASK_MS_MAX, () => giveUp.abort(new Error('no answer')));
  client
    .askVersion(giveUp.signal)
    .then(version => {
      if (!isOlder(version, OLDEST)) return;
      const text = 'this Consul is older than those the gateway is tested with';
      observe({ kind: 'notice', level: 'warn', text, about: { version, oldest: OLDEST } });
    })
    .catch(() => undefined) // Away, or not for this token: `source-lost` tells what matters.
    .finally(() => {
      cancel();
      client.close();
    });
  return { close: () => giveUp.abort(new Error('the gateway ends')) };
}

/** False also for what is no version. */
function isOlder(version: string, than: string): boolean {
  const [major, minor] = numbersOf(version);
  const [thanMajor, thanMinor] = numbersOf(than);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
}

function numbersOf(version: string): [major: number, minor: number] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  return [Number(major), Number(minor)];
}
