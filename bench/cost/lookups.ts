import { at } from '../../gateway/domain/non-empty.ts';
import type { Asked } from '../../gateway/domain/route.ts';
import { createRouteTable } from '../../gateway/domain/routing/route-table.ts';
import { soundRoutes } from '../../test/support/configuration.ts';
import { compareCost, type CostRow, type Work } from './compare.ts';

const FEW = 10;
const MANY = 10_000;

/** So many different requests, spread over all routes; as many where routes are few. */
const REQUESTS = 1_000;

/** What it costs to find a request's route among 10 and among 10,000. */
export async function measureLookups(rounds?: number): Promise<CostRow[]> {
  const among = { of: 'routes', few: FEW, many: MANY, rounds };
  return [
    await compareCost({ ...among, what: 'a route found', prepare: count => finding(count, 'found') }),
    await compareCost({ ...among, what: 'no route found', prepare: count => finding(count, 'missed') }),
  ];
}

function finding(count: number, end: 'found' | 'missed'): Work {
  const listed = Array.from({ length: count }, (_, i) => ({
    id: `model-${i}`,
    uri: 'lb://fuel',
    predicates: [`Path=/api/team-${i % 100}/model-${i}/**`, 'Method=GET,POST'],
  }));
  const table = createRouteTable(soundRoutes(JSON.stringify({ routes: listed })).specs);
  const asked = Array.from({ length: REQUESTS }, (_, i): Asked => {
    const number = Math.floor((i * count) / REQUESTS);
    const path = `/api/team-${number % 100}/model-${number}${end === 'found' ? '' : 'x'}/predict-${i}`;
    return { method: 'POST', path, query: '', rawHeaders: [], host: 'localhost', peerAddress: '127.0.0.1', wallMs: 0 };
  });
  for (const one of asked) {
    if ((table.find(one)?.kind === 'route') !== (end === 'found')) throw new Error(`${one.path} is not ${end}`);
  }
  return {
    run(times) {
      for (let i = 0; i < times; i++) table.find(at(asked, i % asked.length));
    },
  };
}
