import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import type { Answer } from '../../../gateway/domain/exchange.ts';
import { dress } from '../../../gateway/domain/http/dress.ts';
import type { Filter } from '../../../gateway/domain/route.ts';
import { aMatched } from '../../support/requests.ts';

const JSON_FIELDS = ['Content-Type', 'application/json'];
const OK: Answer = { kind: 'answer', status: 200, rawHeaders: JSON_FIELDS, body: Buffer.from('[1]') };
const filter = (onReply: Filter['onReply']): Filter => ({ name: 'F', text: 'F', ...(onReply && { onReply }) });

describe('an answer as its caller gets it', () => {
  test('is changed by the route’s filters, and nobody else’s answer with it', () => {
    const filters = [
      filter(draft => {
        draft.status = 203;
        draft.fields.push('X-Filtered', 'yes');
      }),
    ];

    const { status, rawHeaders } = dress(OK, aMatched({ filters }));

    assert.deepEqual([status, rawHeaders], [203, [...JSON_FIELDS, 'X-Filtered', 'yes']]);
    assert.deepEqual([OK.status, OK.rawHeaders], [200, ['Content-Type', 'application/json']]);
  });

  test('has for HEAD the length of the body that GET would have, and no body', () => {
    const { rawHeaders, body } = dress(OK, aMatched({ request: { method: 'HEAD' } }));

    assert.deepEqual([rawHeaders, (body as Buffer).length], [[...JSON_FIELDS, 'Content-Length', '3'], 0]);
  });

  for (const status of [204, 304]) {
    test(`has no length for HEAD where GET would have none: ${status}`, () => {
      const { rawHeaders } = dress({ ...OK, status, rawHeaders: [] }, aMatched({ request: { method: 'HEAD' } }));

      assert.deepEqual(rawHeaders, []);
    });
  }

  test('lets go of a streamed body that nobody will read', () => {
    const body = new Readable({ read: () => undefined });
    const failing = filter(() => {
      throw new Error('unfit');
    });

    assert.throws(() => dress({ ...OK, body }, aMatched({ filters: [failing] })), { message: 'unfit' });
    assert.equal(body.destroyed, true);
  });
});
