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

/** Reads the node's text and throws it as a StatusError when the answer is no success. */
export async function expectSuccess(response: NodeResponse, prefix = ''): Promise<NodeResponse> {
  if (response.status >= 200 && response.status <= 206) return response;
  const text = await readText(response.stream, longest);
  const message = `${prefix}${text === '' ? `the node answered with status ${response.status}` : text}`;
  throw new StatusError(reasonOf(response.status), message, { code: response.status });
}
