import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Route } from '../../../../gateway/domain/route.ts';
import { BatchingStates } from '../../../../gateway/domain/sharing/batch/batching-states.ts';
import { createSubjects, subjectName } from '../../../../gateway/domain/sharing/batch/subject.ts';
import { aBatchRoute } from '../../../support/batching.ts';
import { manualClock } from '../../../support/manual-clock.ts';

const aRoute = (id: string) => aBatchRoute({ id, versions: '' });
const aRouteWithoutBatch = (id: string) => aBatchRoute({ id, versions: '', batch: undefined });

function aWorld(...routes: Route[]) {
  const world = { routes };
  const clock = manualClock();
  const subjects = createSubjects();
  const states = new BatchingStates({ routes: () => world.routes, subjects, clock });
  const subject = subjects.of(subjectName('fuel', { target: '/predict' }, ['json', 'array']));
  const refute = () => subject.judge('', { kind: 'refuted', reason: 'of the test' }, clock.nowMs());
  const call = (id: string, couldTravel: boolean, times = 1) => {
    for (let i = 0; i < times; i++) states.called(aRoute(id), couldTravel);
  };
  return { world, states, subjects, refute, call, read: () => [...states.read()] };
}

describe('whether calls of a route travel together', () => {
  test('is not known before the model was asked, nor of a route that does not batch', () => {
    assert.deepEqual(aWorld(aRoute('a'), aRouteWithoutBatch('b')).read(), []);
  });

  test('is, before the first call, what the model has shown', () => {
    const { refute, read } = aWorld(aRoute('a'), aRoute('b'));
    refute();

    assert.deepEqual(read(), [
      ['a', false],
      ['b', false],
    ]);
  });

  test('is not known any more once the service is to be rechecked', () => {
    const { states, subjects, refute, call, read } = aWorld(aRoute('a'));
    refute();
    call('a', true, 20);
    states.note('a', false, 'of the test');
    assert.equal(subjects.forget('fue'), 0);
    assert.equal(subjects.forget('fuel'), 1);
    states.forget('fuel');

    assert.deepEqual(read(), []);
    assert.equal(states.view('a'), null);
  });

  test('is what most of its last calls could, whatever path the last one asked for', () => {
    const { call, read } = aWorld(aRoute('a'));
    call('a', true, 20);
    call('a', false);
    assert.deepEqual(read(), [['a', true]]);
    call('a', false, 30);
    assert.deepEqual(read(), [['a', false]]);
    call('a', true);
    assert.deepEqual(read(), [['a', false]]);
  });

  test('is over at once for all routes of a service where batching ends, and says why', () => {
    const { call, states, read } = aWorld(aRoute('a'), aRoute('b'));
    call('a', true, 20);
    call('b', true, 20);
    states.ended('fuel', 'contradicted');

    assert.deepEqual(read(), [
      ['a', false],
      ['b', false],
    ]);
    assert.deepEqual(states.view('b'), { isOn: false, reason: 'contradicted' });
  });

  test('is forgotten with the route', () => {
    const { world, call, states, read } = aWorld(aRoute('a'));
    call('a', true, 20);
    states.note('a', false, 'why');
    world.routes = [aRouteWithoutBatch('a')];
    assert.deepEqual([read(), states.view('a')], [[], null]);
    world.routes = [aRoute('a')];

    assert.deepEqual([read(), states.view('a')], [[], null]);
  });
});
