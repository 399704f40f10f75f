import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { post } from '../support/call.ts';
import { startGateway } from '../support/composed-gateway.ts';
import { until } from '../support/until.ts';
import { aFolder } from '../support/folder.ts';

/** Files, by their paths in a folder of the test's own. */
function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = aFolder(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

function startServices(t: TestContext, folder: string, entries: Readonly<Record<string, string>>) {
  const { PATH = '', HOME = '' } = process.env;
  const names = Object.keys(entries);
  return startGateway(t, {
    local: names.map(name => `{ service: ${name}, entry: ${JSON.stringify(join(folder, String(entries[name])))} }`),
    routes: `routes: [${names
      .map(name => `{ id: ${name}, uri: 'lb://${name}', predicates: ['Path=/${name}/**'], filters: [StripPrefix=1] }`)
      .join(', ')}]`,
    env: { PATH, HOME },
  });
}

/** A data scientist's own file: a name of its own, no /ping, a path beside it. */
const SCORE = `rows <- read.csv("rows.csv")

#' Twice the weight
#* @post /score
#* @serializer unboxedJSON
function(wt) list(score = 2 * wt, of = nrow(rows))
`;

/** A router made in code, in a folder. */
const ENTRYPOINT = `library(plumber)
pr() |> pr_get("/who", function() "the entry point", serializer = serializer_unboxed_json())
`;

/** What plumber2 is to its users: a package that serves what \`_server.yml\` says. */
const ENGINE = `launch_server <- function(settings, host = NULL, port = NULL, ...) {
  said <- paste(readLines(settings), collapse = " ")
  httpuv::runServer(host, port, list(call = function(req) {
    list(status = 200L, headers = list("Content-Type" = "text/plain"), body = said)
  }))
}
`;

describe('an API of Plumber that exists', () => {
  test('is served as it is: any file, a router made in code, and an engine from the library of its folder', async t => {
    const folder = folderWith(t, {
      'my models/score v2.R': SCORE,
      'my models/rows.csv': 'a\n1\n2\n',
      'api/entrypoint.R': ENTRYPOINT,
      'new/_server.yml': 'engine: anengine # as plumber2 is\n',
      'new/renv/activate.R': 'dir.create("renv/library", FALSE)\n.libPaths("renv/library")\n',
      'new/renv/library/.keep': '',
      'anengine/DESCRIPTION':
        'Package: anengine\nVersion: 1.0\nTitle: T\nDescription: D.\nLicense: MIT\nAuthor: A\nMaintainer: A <a@example.org>\n',
      'anengine/NAMESPACE': '',
      'anengine/R/launch.R': ENGINE,
    });
    const install = ['CMD', 'INSTALL', '--no-docs', '--no-test-load', '--no-byte-compile', '-l'];
    execFileSync('R', [...install, join(folder, 'new/renv/library'), join(folder, 'anengine')], { stdio: 'pipe' });
    const gateway = await startServices(t, folder, { score: 'my models/score v2.R', api: 'api', engine: 'new' });
    const rotates = async (name: string) =>
      (await gateway.services()).find(({ service }) => service === name)?.instances[0]?.state === 'in-rotation';
    for (const name of ['score', 'api', 'engine']) await until(() => rotates(name), `${name} answers`, 60_000);

    const received = await Promise.all([
      gateway.call('/score/score', post({ wt: 2.5 })),
      gateway.call('/api/who'),
      gateway.call('/engine/'),
    ]);

    assert.deepEqual(
      received.map(({ status, text }) => `${status} ${text}`),
      ['200 {"score":5,"of":2}', '200 "the entry point"', '200 engine: anengine # as plumber2 is'],
    );
  });

  test('that cannot be started says so in R’s own words, whatever is wrong with it', async t => {
    const folder = folderWith(t, {
      'broken.R': 'stop("no licence for this model")\n',
      'alone.R': 'pr <- plumber::pr()\nplumber::pr_run(pr, port = httpuv::randomPort(20000, 32000), quiet = TRUE)\n',
      'nothing.R': 'answer <- 42\n',
      'new/_server.yml': 'engine: plumber3\n',
    });
    const entries = { broken: 'broken.R', alone: 'alone.R', nothing: 'nothing.R', engine: 'new' };

    const gateway = await startServices(t, folder, entries);
    const said = (text: string) => gateway.log.of('notice').some(line => String(line['text']).includes(text));

    const reasons = [
      'no licence for this model',
      'alone.R starts a server of its own',
      'nothing.R has no annotation such as #* @post /predict, and its last line is no router',
      '_server.yml needs the package plumber3',
    ];
    for (const text of reasons) await until(() => said(text), text);

    assert.deepEqual(
      (await gateway.services()).flatMap(({ instances }) => instances),
      [],
    );
  });
});
