import { fromOutputLine } from '../domain/jobs/answers.ts';
import type { Job, JobFiles, JobStore } from '../domain/jobs/job.ts';
import { resultForm } from '../domain/jobs/results.ts';

const PARTS_AT_ONCE = 64;

interface ResultPorts {
  readonly store: JobStore;
  readonly files: JobFiles;
}

/** What was answered of a job, in the order of its rows and the form of its file, piece by piece. */
export async function resultOf(ports: ResultPorts, job: Job): Promise<AsyncIterable<string | Buffer>> {
  const pieces = piecesOf(ports, job);
  return job.form === 'parquet' ? ports.files.toParquet(job.id, pieces) : pieces;
}

async function* piecesOf({ store, files }: ResultPorts, job: Job): AsyncGenerator<string> {
  const { id, form, columns, doneRows } = job;
  const writer = resultForm(form, columns);
  yield writer.head;
  let row = 0;
  while (row < doneRows) {
    const parts = store.parts(id, row, PARTS_AT_ONCE);
    if (parts.length === 0) throw new Error('the result was removed while it was read');
    for (const part of parts.filter(each => each.row < doneRows)) {
      const lines = (await files.answers(id, part.at, part.bytes)).toString().split('\n');
      yield writer.rows(lines.slice(0, part.rows).map(fromOutputLine), row === 0);
      row = part.row + part.rows;
    }
  }
  yield writer.tail;
}
