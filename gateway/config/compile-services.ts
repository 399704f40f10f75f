import type { BalanceSpec, ServicePolicy } from '../domain/service.ts';
import type { WrittenService } from './written-route.ts';
import { Service } from './schema/service.ts';

/** What is right for R, which computes one thing at a time and may stall on kept connections. */
const FOR_LB = { concurrency: 1, reuse: 'auto' } as const;

/** What is right for an ordinary server behind a plain URI. */
const FOR_ADDRESS = { concurrency: 64, reuse: true } as const;

const UNWRITTEN: WrittenService = Service.parse({});

/** How the instances behind a name are treated; a name without an entry gets the defaults. */
export function compileService(written: WrittenService | undefined, isAddress: boolean): ServicePolicy {
  const service = written ?? UNWRITTEN;
  const { balance, queue, connection, health, outlier } = service;
  const usual = isAddress ? FOR_ADDRESS : FOR_LB;
  return {
    balance: balanceOf(balance),
    concurrency: service.concurrency ?? usual.concurrency,
    queueDepthMax: queue.depthMax,
    queueWaitMsMax: queue.waitMax,
    isFair: queue.fair === 'caller',
    ahead: service.ahead,
    hangMsMax: service.hangMax,
    streamsMax: service.streamsMax,
    reuse: connection.reuse ?? usual.reuse,
    connectTimeoutMs: connection.connectTimeout,
    sharedSecret: service.sharedSecret,
    health: {
      path: health.path,
      intervalMs: health.interval,
      timeoutMs: health.timeout,
      passes: health.passes,
      fails: health.fails,
    },
    outlier: {
      failures: outlier.failures,
      ejectForMs: outlier.ejectFor,
      ejectForMsMax: outlier.ejectForMax,
      percentMax: outlier.percentMax,
      keepMin: outlier.keepMin,
      statuses: new Set(outlier.statuses),
      share: outlier.share,
    },
    slowStartMs: service.slowStart,
  };
}

function balanceOf({ policy, by = { kind: 'caller' }, strict }: WrittenService['balance']): BalanceSpec {
  return policy === 'hash' ? { policy, by, strict } : { policy };
}
