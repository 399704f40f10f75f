import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AuditEntry } from '../../gateway/domain/operating/audit.ts';
import { createAudit } from '../../gateway/stages/audit.ts';
import { aComplete, aMatched, type RequestTraits } from '../support/requests.ts';

function auditWith({ isTaking = true, isRequired = false }) {
  const entries: AuditEntry[] = [];
  const trail = { isTaking, isRequired, append: (entry: AuditEntry) => entries.push(entry) };
  const audit = createAudit({ trail, digest: content => content.toString() });
  return { audit, entries };
}

const aPreflight: RequestTraits = { request: { method: 'OPTIONS', isPreflight: true } };

describe('the audit of a call', () => {
  test('is a line, of a refused call as well, but not of a preflight, nor where nothing can be written', () => {
    const { audit, entries } = auditWith({});
    const [refused, unwritable] = [aMatched(), aMatched()];
    Object.assign(refused.record, { status: 401, code: 'UNAUTHENTICATED' });
    Object.assign(unwritable.record, { status: 503, code: 'AUDIT_UNAVAILABLE' });

    for (const call of [aComplete(), refused, aMatched(aPreflight), unwritable]) audit.note(call);

    const reported = entries.map(entry => (entry.kind === 'call' ? [entry.caller === null, entry.code] : []));
    assert.deepEqual(reported, [
      [false, null],
      [true, 'UNAUTHENTICATED'],
    ]);
  });

  test('tells by its digest whether two calls asked the same, and has none of a stream', () => {
    const { audit, entries } = auditWith({});
    const calls = [{ content: Buffer.from('1') }, { content: Buffer.from('2') }, { request: { query: 'a=1' } }, {}, {}];
    for (const traits of calls) audit.note(aComplete(traits));
    audit.note(aMatched({ policy: { isStream: true } }));

    const digests = entries.map(entry => (entry.kind === 'call' ? entry.digest : undefined));
    assert.equal(new Set(digests).size, 5, 'four unlike calls, and none of a stream');
    assert.equal(digests[3], digests[4]);
    assert.equal(digests[5], null);
  });

  test('that cannot be written refuses the call where it is required, and only there', () => {
    const demand = (trail: Parameters<typeof auditWith>[0]) => () => auditWith(trail).audit.demand(aMatched());

    assert.throws(demand({ isTaking: false, isRequired: true }), { code: 'AUDIT_UNAVAILABLE', retryAfterMs: 1_000 });
    assert.doesNotThrow(demand({ isTaking: false }));
    assert.doesNotThrow(demand({ isRequired: true }));
  });
});
