import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Route } from '../../../../gateway/domain/route.ts';
import { createBatchStates } from '../../../../gateway/domain/sharing/proof/batch-states.ts';
import { createSubjects, subjectName } from '../../../../gateway/domain/sharing/batch/batch-subject.ts';
import { manualClock } from '../../../support/manual-clock.ts';
import { aComplete } from '../../../support/requests.ts';
import { aBatchPolicy, aSharing } from '../../../support/sharing.ts';

const batch = aBatchPolicy();

function aRoute(routeId: string, sharing = aSharing({ batch })): Route {
  return aComplete({ routeId, policy: { sharing } }).route;
}

function aWorld(...routes: Route[]) {
  const world = { routes };
  const clock = manualClock();
  const subjects = createSubjects();
  const states = createBatchStates({ routes: () => world.routes, subjects, clock });
  const { service } = aRoute('a');
  const subject = subjects.of(subjectName(service.name, { target: '/predict' }, ['json', 'array']));
  const refute = () => subject.judge('', { kind: 'refuted', reason: 'of the test' }, clock.nowMs());
  return { world, states, refute, read: () => [...states.read()] };
}

describe('whether calls travel together', () => {
  test('is not known before the model was asked', () => {
    assert.deepEqual(aWorld(aRoute('a')).read(), []);
  });

  test('is known of every route to a service, whichever it was asked for, and of those a reload brings', () => {
    const { world, states, refute, read } = aWorld(aRoute('a'), aRoute('b'));
    refute();
    states.note('a', false);

    assert.deepEqual(read(), [
      ['a', false],
      ['b', false],
    ]);
    world.routes = [aRoute('c')];
    assert.deepEqual(read(), [['c', false]]);
  });

  test('is what was said of the route last', () => {
    const { states, refute, read } = aWorld(aRoute('a'), aRoute('b'));
    refute();
    states.note('a', true);

    assert.deepEqual(read(), [
      ['a', true],
      ['b', false],
    ]);
  });

  test('is no question where the route does not batch, or does no longer', () => {
    const { world, states, refute, read } = aWorld(aRoute('a'), aRoute('b', aSharing()));
    refute();
    states.note('a', true);

    assert.deepEqual(read(), [['a', true]]);
    world.routes = [aRoute('a', aSharing())];
    assert.deepEqual(read(), []);
    world.routes = [aRoute('c')];
    states.note('c', true);
    world.routes = [aRoute('a')];
    assert.deepEqual(read(), [['a', false]], 'what was said of it is gone with it');
  });
});
