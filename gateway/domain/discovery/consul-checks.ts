import { printable } from '../printable.ts';
import type { Health } from '../roster.ts';
import { isRecord, textOf } from '../unknown-value.ts';

const NOTE_CHARS_MAX = 200;

/** What Consul's checks say of an instance, together. */
export interface ConsulVerdict {
  readonly health: Health;
  /** The failing check's name and output; null where none fails. */
  readonly note: string | null;
  /** It is critical only because checks have not run yet: nothing is known of it. */
  readonly isUnproven: boolean;
}

/**
 * The health of an instance by the checks of its node and its own: maintenance drains it, any critical check takes it
 * out, a warning is told.
 */
export function judgeChecks(checks: unknown): ConsulVerdict {
  const list = Array.isArray(checks) ? checks.filter(isRecord) : [];
  const critical = list.filter(check => check['Status'] === 'critical' || !isStatus(check['Status']));
  const maintenance = critical.find(isMaintenance);
  if (maintenance !== undefined) return verdict('maintenance', maintenance);

  const proven = critical.find(check => textOf(check['Output']) !== '');
  if (proven !== undefined) return verdict('critical', proven);
  const [unproven] = critical;
  if (unproven !== undefined) return { ...verdict('critical', unproven), isUnproven: true };

  const warning = list.find(check => check['Status'] === 'warning');
  if (warning !== undefined) return verdict('warning', warning);
  return { health: 'passing', note: null, isUnproven: false };
}

function isStatus(status: unknown): boolean {
  return status === 'passing' || status === 'warning' || status === 'critical';
}

function isMaintenance(check: Record<string, unknown>): boolean {
  const id = textOf(check['CheckID']);
  return id === '_node_maintenance' || id.startsWith('_service_maintenance:');
}

function verdict(health: Health, check: Record<string, unknown>): ConsulVerdict {
  const name = textOf(check['Name']) || textOf(check['CheckID']) || 'unnamed check';
  // Maintenance has no output; its reason stands in the notes.
  const said = textOf(check['Output']) || textOf(check['Notes']) || 'has not run yet';
  return { health, note: printable(`${name}: ${said.trim()}`, NOTE_CHARS_MAX), isUnproven: false };
}
