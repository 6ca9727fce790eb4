/** What a node answers instead of what was asked, as a Status: k8s.io/apiserver registry/generic/rest/response_checker.go. */
import { StatusError, type StatusReason, statusCodes } from '#kube/status-error.ts';
import { type NodeResponse, readText } from '../tunnel.ts';

const longest = 10 * 1024;

function reasonOf(code: number): StatusReason {
  const found = (Object.entries(statusCodes) as [StatusReason, number][]).find(
    ([reason, c]) => c === code && reason !== 'AlreadyExists' && reason !== 'Gone',
  );
  return found?.[0] ?? (code >= 500 ? 'InternalError' : 'BadRequest');
}

/** The node's own Status, where it sent one. */
function statusIn(text: string): Readonly<Record<string, unknown>> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status' ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Reads what the node says and throws it as a StatusError when the answer is no success. */
export async function expectSuccess(response: NodeResponse, prefix = ''): Promise<NodeResponse> {
  if (response.status >= 200 && response.status <= 206) return response;
  const text = await readText(response.stream, longest);
  const status = statusIn(text);
  const said = typeof status?.['message'] === 'string' ? status['message'] : text;
  const reason =
    typeof status?.['reason'] === 'string' && status['reason'] in statusCodes
      ? (status['reason'] as StatusReason)
      : reasonOf(response.status);
  const message = `${prefix}${said === '' ? `the node answered with status ${response.status}` : said}`;
  throw new StatusError(reason, message, { code: response.status });
}
