import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { toSvg } from '../../bench/chart.ts';
import { expectationsTable, missedTable } from '../../bench/expectations.ts';
import { toMarkdown } from '../../bench/report.ts';
import { readResults, toJson } from '../../bench/results.ts';
import { filesShowing, peersTable, RESULTS_FILE, withBlock } from '../../bench/shown.ts';
import { someResults } from './samples.ts';
import { aFolder } from '../support/folder.ts';

const MARKS = { begin: '<!-- Written by `npm run bench`; do not edit. -->', end: '<!-- Until here. -->' };

describe('what a benchmark shows', () => {
  test('is the same from the file it was kept in', t => {
    const folder = aFolder(t);
    const file = join(folder, 'results.json');
    writeFileSync(file, toJson(someResults()));

    const kept = readResults(file);

    assert.equal(toMarkdown(kept), toMarkdown(someResults()));
    assert.equal(toSvg(kept), toSvg(someResults()));
  });

  test('says of each expectation what was wanted, what was measured, and whether it is met', () => {
    const [, , batched, pick] = expectationsTable(someResults()).split('\n');

    assert.equal(batched, '| Batched: requests a second | 2,500/s | 100/s (nginx) | 25.0 | at least 20 | met |');
    assert.equal(
      pick,
      '| A pick, among 1,000 instances | 1000 ns | 400 ns (among 10) | 2.50 | at most 2 | **missed** |',
    );
    assert.match(expectationsTable(someResults(1_900)), /19\.0 \| at least 20 \| \*\*missed\*\*/);
  });

  test('names the goals that were missed, and no other', () => {
    const [head, , pick, ...more] = missedTable(someResults()).split('\n');

    assert.equal(head, '| | Penstock | compared with | ratio | wanted | |');
    assert.match(pick ?? '', /^\| A pick, among 1,000 instances/);
    assert.deepEqual(more, []);
    const results = someResults();
    assert.equal(missedTable({ ...results, costs: { ...results.costs, expected: [] } }), 'Every goal was met.');
  });

  test('puts what was measured beside what the peers did', () => {
    const [head, , line] = peersTable(someResults()).split('\n');

    assert.equal(head, '| | callers | no proxy | nginx | HAProxy | http-proxy-middleware | **Penstock** |');
    assert.equal(line, '| batched | 1 |  | 100/s, 1.00 ms, 76 µs |  |  | 2,500/s, 1.00 ms, 253 µs |');
  });

  test('has machine, versions, and a table for each workload with what each contestant is', () => {
    const text = toMarkdown(someResults());

    assert.match(text, /2026-01-02, A <fast> one, 2 processors, 4 GiB, Linux 6/);
    assert.match(text, /Penstock 0\.1\.0, nginx 1\.22\.1\./);
    assert.match(
      text,
      /^\| \*\*penstock-batch\*\* \| 1\.00 ms \| 2\.00 ms \| 2,500 \|  \| 25\.0 \| 253 µs \| 12 µs \| 19\.5 KB \| 0 \|$/m,
    );
    assert.match(text, /^- \*\*nginx\*\*: how nginx is set up\.$/m);
  });

  test('tells what grows, and the memory that things take', () => {
    const text = toMarkdown(someResults());

    assert.match(text, /^\| a place \| instances \| 8000 ns \(10\) \| 12\.0 µs \(1,000\) \| 1\.50 \|$/m);
    assert.match(text, /^\| 10,000 routes made: processor time \| 300 ms \|  \|  \| at most 500 ms \| met \|$/m);
    assert.match(text, /^\| made \| 10,000 \| 900 ms \| 300 ms \|$/m);
    assert.match(text, /^\| an idle connection \| 2,000 \| 10\.0 KiB \| 5\.0 KiB \|$/m);
  });

  test('is drawn with bars as long as what they stand for', () => {
    const svg = toSvg(someResults());
    const widths = [...svg.matchAll(/class="(own|other)"[^>]* width="([\d.]+)"/g)].map(([, kind, width]) => [
      kind,
      width,
    ]);

    const [other, own] = widths;
    assert.deepEqual([other?.[0], own?.[0]], ['other', 'own']);
    assert.ok(Math.abs(Number(own?.[1]) / Number(other?.[1]) - 25) < 0.2, JSON.stringify(widths));
    assert.match(svg, /2,500\/s, p99 2\.00 ms/);
  });

  test('takes the place of what stood there, and of nothing else', () => {
    const text = `before\n${MARKS.begin}\nold\n${MARKS.end}\nafter\n`;

    assert.equal(withBlock(text, 'new'), `before\n${MARKS.begin}\n\nnew\n\n${MARKS.end}\nafter\n`);
    assert.throws(() => withBlock('no marks', 'new'), /no place for the results/);
  });

  test('is everywhere what the last whole run showed', () => {
    // Until the first whole run there is nothing to show.
    const files = existsSync(RESULTS_FILE) ? filesShowing(readResults(RESULTS_FILE)) : new Map<string, string>();

    for (const [file, text] of files)
      assert.equal(readFileSync(file, 'utf8'), text, `${file}: npm run bench -- --redraw`);
  });
});
