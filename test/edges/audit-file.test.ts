import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { AuditEntry } from '../../gateway/domain/operating/audit.ts';
import type { Observe } from '../../gateway/domain/events.ts';
import { linesOfTrail, openAuditTrail, type AuditConfig } from '../../gateway/edges/audit-file.ts';
import { verifyTrail } from '../../gateway/compose-audit.ts';
import { systemClock as clock } from '../../gateway/edges/clock.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

const aChange = (what: string): AuditEntry => ({
  ...{ kind: 'change', by: 'ops', from: null, what, before: null, after: null, outcome: 'done' },
});

function aConfig(t: TestContext, traits: Partial<AuditConfig> = {}): AuditConfig {
  const folder = aFolder(t);
  return { file: join(folder, 'audit.jsonl'), rotateBytes: 64 * 1024 * 1024, keep: 30, required: false, ...traits };
}

const open = (config: AuditConfig) => openAuditTrail(config, { clock, observe: () => undefined });

async function namesIn(file: string): Promise<unknown[]> {
  const names: unknown[] = [];
  for await (const line of linesOfTrail(file)) {
    const { what, note } = JSON.parse(line) as Record<string, unknown>;
    names.push(what ?? note);
  }
  return names;
}

describe('the file of an audit trail', () => {
  test('goes on where it ended, readable by its owner alone', async t => {
    const config = aConfig(t);
    const first = await open(config);
    first.append(aChange('a'));
    await first.close();

    const second = await open(config);
    second.append(aChange('b'));
    await second.close();

    assert.deepEqual(await namesIn(config.file), ['opened', 'a', 'closed', 'opened', 'b', 'closed']);
    assert.equal((await verifyTrail(config.file, undefined)).check.flaw, undefined);
    assert.equal(statSync(config.file).mode & 0o777, 0o600);
  });

  test('is put aside when it is full; the oldest go, and the rest follows from line to line', async t => {
    const config = aConfig(t, { rotateBytes: 1_000, keep: 2 });
    const trail = await open(config);
    for (let i = 0; i < 40; i += 1) {
      trail.append(aChange(`change ${i}`));
      await until(() => trail.written === i + 2, 'it is written'); // beside `opened`
    }
    await trail.close();
    const { check, end } = await verifyTrail(config.file, trail.head.hash);

    assert.equal(readdirSync(join(config.file, '..')).length, 3);
    assert.equal(check.flaw, undefined);
    assert.ok((check.firstSeq ?? 0) > 1);
    assert.equal(end?.seq, 42);
    await (await open(config)).close();
    assert.equal((await verifyTrail(config.file, undefined)).check.flaw, undefined, 'and so after a start');
  });

  test('tells the log where it stands when a file is put aside, and when it ends', async t => {
    const config = aConfig(t, { rotateBytes: 1_000 });
    const reported: unknown[] = [];
    const observe: Observe = event => {
      if (event.kind === 'notice') reported.push(event.about);
    };
    const trail = await openAuditTrail(config, { clock, observe });
    t.after(() => trail.close());
    for (let i = 0; i < 10; i += 1) trail.append(aChange(`change ${i}`));
    await until(() => trail.written === 11, 'all is written');
    const asides = readdirSync(join(config.file, '..')).filter(name => /\.\d+\./.test(name)).length;
    assert.equal(reported.length, asides);
    await trail.close();

    assert.ok(asides > 0);
    assert.deepEqual(reported.at(-1), { seq: trail.head.seq, head: trail.head.hash });
    for (const { head } of reported as { head: string }[]) {
      assert.equal((await verifyTrail(config.file, head)).check.flaw, undefined, 'it is the hash of a line');
    }
  });

  test('loses a line that a crash left unfinished, and says so', async t => {
    const config = aConfig(t);
    await (await open(config)).close();
    appendFileSync(config.file, '{"seq":3,"time":"2026-');

    await (await open(config)).close();

    assert.deepEqual(await namesIn(config.file), ['opened', 'closed', 'mended', 'opened', 'closed']);
    assert.equal((await verifyTrail(config.file, undefined)).check.flaw, undefined);
  });

  test('is written by one process; one that was killed does not keep it', async t => {
    const config = aConfig(t);
    const other = spawn('sleep', ['600']);
    writeFileSync(`${config.file}.lock`, String(other.pid));

    await assert.rejects(open(config), {
      name: 'AuditLocked',
      message: `the process ${other.pid} writes ${config.file}`,
    });

    const gone = once(other, 'exit');
    other.kill('SIGKILL');
    await gone;
    await (await open(config)).close();
    assert.equal(readFileSync(config.file, 'utf8').split('\n').length, 3);
  });

  test('that is no audit trail is left alone', async t => {
    const config = aConfig(t);
    writeFileSync(config.file, 'something else\n');

    await assert.rejects(open(config), /is no line of an audit trail; put the file aside/);

    assert.equal(readFileSync(config.file, 'utf8'), 'something else\n');
  });
});
