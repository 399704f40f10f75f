import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AuditChain,
  AuditCheck,
  AuditReport,
  EMPTY_TRAIL,
  type AuditedCall,
  type AuditEntry,
} from '../../../gateway/domain/operating/audit.ts';
import { hexDigest } from '../../../gateway/edges/audit-file.ts';

const aCall = (traits: Partial<AuditedCall> = {}): AuditedCall => ({
  ...{ kind: 'call', id: 'a', caller: 'penstock-dev/alice', from: '10.0.0.1', route: 'fuel', service: 'fuel' },
  ...{ version: '1.0.0', instance: 'fuel-1', method: 'POST', path: '/api/fuel/predict', digest: 'x' },
  ...{ status: 200, code: null },
  ...traits,
});

const reload: AuditEntry = {
  ...{ kind: 'change', by: 'ops', from: '127.0.0.1', what: 'reload' },
  ...{ before: { generation: 1 }, after: { generation: 2 }, outcome: 'done' },
};

function linesOf(...entries: readonly AuditEntry[]): string[] {
  const chain = new AuditChain(EMPTY_TRAIL, hexDigest);
  return entries.map((entry, i) => chain.append(entry, `2026-11-0${i + 1}T12:00:00.000Z`));
}

const trail = linesOf(reload, aCall(), aCall({ status: 422 }), aCall({ caller: null, status: 401 }));

function check(lines: readonly string[], head?: string) {
  const checked = new AuditCheck(hexDigest, head);
  for (const line of lines) checked.next(line);
  return { end: checked.end(), flaw: checked.flaw, firstSeq: checked.firstSeq };
}

const hashOf = (line: string | undefined) => hexDigest(line ?? '');
const without = (at: number) => trail.filter((_line, i) => i !== at);

describe('an audit trail', () => {
  test('that is whole is found so, up to the hash that the log told', () => {
    const { end, flaw } = check(trail, hashOf(trail[2]));

    assert.equal(flaw, undefined);
    assert.deepEqual(end, { seq: 4, hash: hashOf(trail[3]) });
  });

  test('may begin later: older files are rotated away', () => {
    assert.deepEqual(check(trail.slice(2)), { ...check(trail), firstSeq: 3 });
  });

  for (const [name, lines, head, at, problem] of [
    [
      'a line was changed',
      trail.map(line => line.replace('"status":422', '"status":200')),
      undefined,
      4,
      /was changed/,
    ],
    ['a line was taken out', without(1), undefined, 2, /has the number 3, where 2 was due/],
    ['a line was put in', [...trail.slice(0, 2), ...trail.slice(1)], undefined, 3, /has the number 2/],
    ['a line is no line', [trail[0] ?? '', 'garbage'], undefined, 2, /is no line/],
    ['its end was cut off', trail.slice(0, 3), hashOf(trail[3]), 0, /lines were cut off/],
    [
      'its first line was written anew',
      [(trail[0] ?? '').replace(/"prev":"0/, '"prev":"1')],
      undefined,
      1,
      /another stood before it/,
    ],
  ] as const) {
    test(`says where ${name}`, () => {
      const { flaw } = check(lines, head);

      assert.equal(flaw?.at, at);
      assert.match(flaw.problem, problem);
    });
  }

  test('is counted by caller, model and day', () => {
    const rowsBy = (by: 'caller' | 'model' | 'day') => {
      const report = new AuditReport(by);
      for (const line of trail) report.next(line);
      return report.rows();
    };

    assert.deepEqual(rowsBy('caller'), [
      { key: 'penstock-dev/alice', calls: 2, failed: 1 },
      { key: '(not admitted)', calls: 1, failed: 1 },
    ]);
    assert.deepEqual(rowsBy('model'), [{ key: 'fuel 1.0.0', calls: 3, failed: 2 }]);
    assert.deepEqual(
      rowsBy('day').map(({ key }) => key),
      ['2026-11-02', '2026-11-03', '2026-11-04'],
    );
  });
});
