import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPreferred, likingOf } from '../../../gateway/domain/table/csv-transcoder.ts';

test('what a caller prefers is read from `Accept` by quality, by how closely a type is named, and by place', () => {
  const csvBeforeJson: Readonly<Record<string, boolean>> = {
    'text/csv': true,
    'TEXT/CSV;header=present': true,
    'text/csv, */*': true,
    'text/*, */*': true,
    'text/csv, application/json': true,
    'application/json;q=0.9, text/csv': true,
    'text/csv;q=0.5, application/json;q=0.1': true,
    'application/json, text/csv': false,
    'application/json, text/csv;q=0.9': false,
    'text/csv;q=0, */*': false,
    'text/csv;q=rubbish': false,
    '*/*': false,
    '': false,
  };

  for (const [accept, isCsv] of Object.entries(csvBeforeJson)) {
    const fields = ['Accept', accept];
    assert.equal(isPreferred(likingOf('text/csv', fields), likingOf('application/json', fields)), isCsv, accept);
  }
  assert.equal(likingOf('text/csv', ['Accept', 'image/png']).quality, 0);
  assert.equal(likingOf('text/csv', []).quality, 1);
});
