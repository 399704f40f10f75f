import { createActiveCallers, type ActiveCallers } from './active-callers.ts';
import { createBalance } from '../balance/create-balance.ts';
import type { BalancePolicy } from '../balance/policy.ts';
import type { Observe } from '../events.ts';
import type { LivingInstance, Moment } from './living-instance.ts';
import type { Places } from './permits.ts';
import type { Clock, Random } from '../ports.ts';
import { createQueue, type Queue } from './queue.ts';
import { createRotation, type Rotation } from './rotation.ts';
import type { ServicePolicy } from './service-policy.ts';
import { WorkInHand } from './work-in-hand.ts';

/** What a service is made from. */
export interface ServiceOptions {
  readonly name: string;
  readonly policy: ServicePolicy;
  readonly clock: Clock;
  readonly random: Random;
  /** The process's permits by address. */
  readonly places: Places;
  readonly observe: Observe;
}

/** What the parts of one service share. */
export interface ServiceCore extends ServiceOptions {
  policy: ServicePolicy;
  balance: BalancePolicy;
  /** Those the roster lists, by source and id. */
  readonly instances: Map<string, LivingInstance>;
  /** Those it lists no longer, while they finish their work. */
  readonly leavers: Set<LivingInstance>;
  readonly rotation: Rotation;
  readonly queue: Queue;
  readonly callers: ActiveCallers;
  readonly work: WorkInHand;
  readonly moment: Moment;
  /** As `Service.versions`. */
  versions: string;
  isClosed: boolean;
  /** Looks at the clock. */
  look(): number;
}

/** A service without instances. */
export function createCore(options: ServiceOptions): ServiceCore {
  const { clock } = options;
  const moment = { nowMs: clock.nowMs() };
  return {
    ...options,
    balance: createBalance(options.policy.balance, options.random),
    instances: new Map(),
    leavers: new Set(),
    rotation: createRotation(),
    queue: createQueue(clock, options.places.ticket),
    callers: createActiveCallers(),
    work: new WorkInHand(),
    moment,
    versions: '',
    isClosed: false,
    look: () => (moment.nowMs = clock.nowMs()),
  };
}
