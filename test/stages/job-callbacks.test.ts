import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { GatewayEvent } from '../../gateway/domain/events.ts';
import type { WebhookMessage } from '../../gateway/domain/jobs/callback.ts';
import type { Job, JobChange, JobStore } from '../../gateway/domain/jobs/job.ts';
import { JobCallbacks } from '../../gateway/stages/job-callbacks.ts';
import { manualClock } from '../support/manual-clock.ts';

const TO = 'https://hooks.example.org/penstock';
const STEP_MS = 600_000;

/** One job that is over, whose receiver gives these answers, one after the other, the last again and again. */
function callbackAnswered(...statuses: readonly (number | undefined)[]) {
  const clock = manualClock();
  const job = { id: 'one', routeId: 'fuel', state: 'done', callback: `${TO}/done`, createdMs: 0, endedMs: 1_000 };
  let stored = { ...job, startedMs: 0, inputBytes: 1, doneBytes: 1 } as unknown as Job;
  const store: Pick<JobStore, 'untold' | 'find' | 'change'> = {
    untold: () => (stored.callback === null ? [] : [stored]),
    find: () => stored,
    change: (_id: string, change: JobChange) => (stored = { ...stored, ...change }),
  };
  const sent: { readonly atMs: number; readonly message: WebhookMessage }[] = [];
  const notices: GatewayEvent[] = [];
  const callbacks = new JobCallbacks({
    rules: [{ to: TO, secret: { reveal: () => 'secret' } }],
    view: { path: '/jobs', keepMs: 1 },
    store: store as JobStore,
    clock,
    observe: event => notices.push(event),
    send: message => {
      sent.push({ atMs: clock.nowMs(), message });
      return Promise.resolve(statuses[Math.min(sent.length, statuses.length) - 1]);
    },
  });
  return {
    sent,
    /** After five hours: whom to tell, and what the log says of it. */
    outcome: async () => {
      callbacks.look();
      for (let i = 0; i < 30; i += 1) {
        await setImmediate();
        clock.advance(STEP_MS);
      }
      const problems = notices.map(event => (event.kind === 'notice' ? event.about['problem'] : event.kind));
      return { callback: stored.callback, problems, alarms: clock.alarms };
    },
  };
}

describe('the callback of a job', () => {
  test('is over with a 2xx, after redirects, failures and silence', async () => {
    const { sent, outcome } = callbackAnswered(302, 500, undefined, 204);

    assert.deepEqual(await outcome(), { callback: null, problems: [], alarms: 0 });
    assert.equal(sent.length, 4);
    assert.deepEqual(new Set(sent.map(({ message: { id, url } }) => `${id} ${url}`)), new Set([`one ${TO}/done`]));
  });

  test('is over where the receiver does not want it', async () => {
    const { sent, outcome } = callbackAnswered(503, 410);

    assert.deepEqual(await outcome(), { callback: null, problems: ['the receiver answered 410'], alarms: 0 });
    assert.equal(sent.length, 2);
  });

  test('is given up after seven attempts, each later than the one before', async () => {
    const { sent, outcome } = callbackAnswered(500);

    assert.deepEqual(await outcome(), { callback: null, problems: ['7 attempts failed'], alarms: 0 });
    const waits = sent.slice(1).map(({ atMs }, i) => atMs - (sent[i]?.atMs ?? 0));
    assert.ok(waits.length === 6 && waits.every((wait, i) => wait >= (waits[i - 1] ?? 0)), waits.join());
  });
});
