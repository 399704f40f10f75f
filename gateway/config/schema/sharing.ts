import { z } from 'zod';
import type { VaryKey } from '../../domain/route.ts';
import { duration, flaw, percent, size, whole } from './scalars.ts';
import { isNamedKey, keyOf } from './service.ts';

/** What requests must agree in to share anything. */
export const VaryBy = z
  .string()
  .meta({ pattern: '^(caller|header:.+)$', examples: ['caller', 'header:Accept-Language'] })
  .transform((written, { issues }): VaryKey => {
    if (written === 'caller') return { kind: 'caller' };
    if (isNamedKey(written, ['header'])) return { kind: 'header', name: keyOf(written).name.toLowerCase() };
    issues.push(flaw(written, 'must be caller or header:NAME'));
    return { kind: 'caller' };
  });

const Ttl = z.union([z.literal('http'), duration({ max: '30d', otherwise: '; or http' })], {
  error: 'must be a duration (250ms, 5s, 2m, 1h, 30d), or http',
});

/** What of R's answers is stored. */
export const Cache = z.strictObject({
  ttl: Ttl.prefault('60s').describe(
    'How long an answer is fresh; `http`: as R’s own fields say, by RFC 9111 for a shared cache, for GET and HEAD.',
  ),
  entriesMax: whole(1, 1_000_000).default(1_024).describe('Answers kept; the least recently used goes first.'),
  bytesMax: size({ max: '16GiB' }).prefault('64MiB').describe('Their size together.'),
  staleIfError: duration({ min: '0ms', max: '30d' })
    .prefault('0s')
    .describe('How long after it has become stale an answer is still given where R gives none.'),
  methods: z
    .array(z.enum(['GET', 'HEAD', 'POST']))
    .min(1)
    .default(['GET', 'HEAD', 'POST'])
    .describe('Methods whose answers are stored; POST only where `pure: true`.'),
});

/** How calls travel together. */
export const Batch = z.strictObject({
  sizeMax: whole(2, 10_000).default(64).describe('Rows that travel together at most.'),
  waitMax: duration({ min: '0ms', max: '10s' })
    .prefault('0ms')
    .describe('How long a call waits for others though an instance is idle.'),
  rows: z
    .enum(['array', 'columns'])
    .default('array')
    .describe('How a body holds its rows: as an array of records, or as columns of equal length.'),
  recheck: percent({ min: '0.001%' })
    .prefault('1%')
    .describe(
      'The share of rows that travelled together and are asked again alone, to compare. All of them at first; while answers agree ever fewer, down to this, and never under one in each minute of batching.',
    ),
  rowsIndependent: z
    .boolean()
    .default(false)
    .describe(
      'True: you declare that no row’s answer depends on the rows beside it. Needed where the service publishes no /prototype.',
    ),
});
