/** --audit-log-format=legacy: an event as one line of text. k8s.io/apiserver pkg/audit/format.go. */

interface Person {
  readonly username?: string;
  readonly groups?: readonly string[];
}

/** The parts of an event that the line shows. */
export interface LineEvent {
  readonly requestReceivedTimestamp?: string;
  readonly auditID?: string;
  readonly stage?: string;
  readonly verb?: string;
  readonly user?: Person;
  readonly impersonatedUser?: Person;
  readonly sourceIPs?: readonly string[];
  readonly userAgent?: string;
  readonly objectRef?: { readonly namespace?: string };
  readonly requestURI?: string;
  readonly responseStatus?: { readonly code?: number };
}

const quoted = (text: string): string => JSON.stringify(text);
const listed = (texts: readonly string[]): string => texts.map(quoted).join(',');
/** As Go's RFC3339Nano: without zeros at the end. */
const timeText = (time = ''): string => time.replace(/\.?0+Z$/, 'Z');
const groupsOf = (person: Person): string => (person.groups === undefined || person.groups.length === 0 ? '<none>' : listed(person.groups));

export function legacyLine(event: LineEvent): string {
  const { user = {}, impersonatedUser, sourceIPs = [], objectRef, responseStatus } = event;
  const known = user.username !== undefined && user.username !== '';
  const parts: readonly (readonly [string, string])[] = [
    ['id', event.auditID ?? ''],
    ['stage', event.stage ?? ''],
    ['ip', sourceIPs[0] ?? '<unknown>'],
    ['method', event.verb ?? ''],
    ['user', known ? (user.username ?? '') : '<none>'],
    ['groups', known ? groupsOf(user) : '<none>'],
    ['as', impersonatedUser === undefined ? '<self>' : (impersonatedUser.username ?? '')],
    ['asgroups', impersonatedUser?.groups === undefined ? '<lookup>' : listed(impersonatedUser.groups)],
    ['user-agent', event.userAgent ?? ''],
    ['namespace', objectRef?.namespace ?? '<none>'],
    ['uri', event.requestURI ?? ''],
    ['response', responseStatus?.code === undefined ? '<deferred>' : String(responseStatus.code)],
  ];
  return `${timeText(event.requestReceivedTimestamp)} AUDIT: ${parts.map(([name, value]) => `${name}=${quoted(value)}`).join(' ')}\n`;
}
