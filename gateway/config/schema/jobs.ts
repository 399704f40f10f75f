import { z } from 'zod';
import { Secret } from '../secret.ts';
import { duration, size, text, whole } from './scalars.ts';

const Callback = z.strictObject({
  to: z
    .string()
    .regex(/^https?:\/\/[^/@\s?#\\]+(?:\/[^\s?#\\]*)?$/, 'must be a URL without credentials, query and fragment')
    .describe('What a URL must be, or lie below: its scheme, host, port, and the parts of its path.'),
  secret: text()
    .transform(written => new Secret(written))
    .describe(
      'What messages are signed with (HMAC-SHA256, as Standard Webhooks has it): `whsec_` and a key in base64, or any text. Best `${env:NAME}` or `${file:PATH}`.',
    ),
});

const Inbox = z.strictObject({
  folder: text().describe(
    'Where files are put: `NAME.csv`, `.json`, `.jsonl`, `.parquet`, each perhaps with `.gz` behind it.',
  ),
  route: text().describe('The id of the route that answers them.'),
  out: text()
    .optional()
    .describe('Where `NAME.result.csv`, or `NAME.error.json`, is written. Default: beside the file.'),
});

/** Files of rows that callers bring and come back for. */
export const Jobs = z
  .strictObject({
    path: z
      .string()
      .regex(/^(?:\/[A-Za-z0-9._~-]+)+$/, 'must be a path without a slash at its end')
      .default('/jobs')
      .describe(
        'Below it files are brought, as `POST PATH/ROUTE`, and jobs are looked at. It comes before all routes.',
      ),
    folder: text()
      .default('../.state/jobs')
      .describe('Where jobs and their files are kept, for the gateway’s user alone. One gateway has it at a time.'),
    keep: duration({ min: '1m', max: '366d' })
      .prefault('7d')
      .describe('How long a job is kept once it is over. One that is not over so long after it was made is ended.'),
    bytesMax: size({ min: '1KiB', max: '64GiB' })
      .prefault('1GiB')
      .describe(
        'A larger file, unpacked, is refused with BODY_TOO_LARGE; of Parquet also one whose rows are larger as JSON. Answers may take four times as much.',
      ),
    perCallerMax: whole(1, 10_000)
      .default(10)
      .describe(
        'How many jobs of one caller are kept. Of those that are over and whose result was read, the oldest makes room for another; where there is none, the caller is refused with RATE_LIMITED.',
      ),
    inbox: Inbox.optional().describe(
      'A folder whose files become jobs, for those who share files (docs/jobs.md). Off unless written.',
    ),
    callbacks: z
      .array(Callback)
      .max(100)
      .default([])
      .describe(
        'Where callers may be notified that their job is over, with `Prefer: callback; url="URL"`. Off unless written.',
      ),
  })
  .transform(({ keep, ...rest }) => ({ ...rest, keepMs: keep }));
