import type { Call, Matched } from '../domain/call.ts';
import { GatewayError } from '../domain/errors.ts';
import type { AuditEntry } from '../domain/operating/audit.ts';
import type { Digest } from '../domain/sharing/shared-call.ts';
import { NOT_SENT } from '../domain/upstream.ts';

interface AuditPorts {
  readonly trail: AuditPort | undefined;
  readonly digest: Digest;
}

/** Where entries go. */
export interface AuditPort {
  readonly isTaking: boolean;
  /** Calls are refused while it takes nothing. */
  readonly isRequired: boolean;
  append(entry: AuditEntry): void;
}

/** What the audit trail has to do with a call whose route asks for it. */
export interface Audit {
  /** Before anything is done for it. Throws AUDIT_UNAVAILABLE. */
  demand(call: Matched): void;
  /** Its reply is over: it is a line of the trail. */
  note(call: Call): void;
}

/** Without a trail no route is audited. */
export function createAudit({ trail, digest }: AuditPorts): Audit {
  return {
    demand() {
      if (trail === undefined || trail.isTaking || !trail.isRequired) return;
      throw new GatewayError('AUDIT_UNAVAILABLE', 'the audit trail takes nothing', { retryAfterMs: RETRY_AFTER_MS });
    },
    note(call) {
      const { route, record } = call;
      if (trail === undefined || route === undefined || call.isPreflight) return;
      if (record.code === 'AUDIT_UNAVAILABLE') return; // there is nowhere to write it
      const { instance, version } = record.via ?? NOT_SENT;
      trail.append({
        ...{ kind: 'call', id: call.id, caller: call.caller?.id ?? null, from: call.callerAddress },
        ...{ route: route.id, service: route.service.name, version, instance },
        ...{ method: call.method, path: call.originalPath, digest: digestOf(call, digest) },
        ...{ status: record.status, code: record.code },
      });
    },
  };
}

/** It is tried again each second. */
const RETRY_AFTER_MS = 1_000;

/** A stream's body is nowhere in whole. */
function digestOf({ route, method, path, query, content }: Call, digest: Digest): string | null {
  if (route?.policy.isStream === true) return null;
  const head = Buffer.from(`${method} ${path}${query === '' ? '' : `?${query}`}\n`);
  return digest(Buffer.concat([head, content]));
}
