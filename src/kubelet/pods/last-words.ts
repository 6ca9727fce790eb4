/** What a container left behind when it ended: its termination message. pkg/kubelet/kuberuntime getTerminationMessage. */
import { open } from 'node:fs/promises';
import { logTail } from '../logs/read.ts';
import type { ContainerRecord } from './runtime.ts';

const maxMessageBytes = 4096;
const maxFallbackBytes = 2048;
const maxFallbackLines = 80;

async function head(path: string, bytes: number): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return '';
  try {
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await file.read(buffer, 0, bytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The message of an ended container; '' when it left none. */
export async function lastWords(record: ContainerRecord): Promise<string> {
  const mount = record.mounts.find((m) => m.containerPath === record.terminationMessagePath);
  const message = mount === undefined ? '' : await head(mount.hostPath, maxMessageBytes);
  if (message !== '' || record.terminationMessagePolicy !== 'FallbackToLogsOnError' || record.exitCode === 0) return message;
  return logTail(record.logPath, maxFallbackLines, maxFallbackBytes);
}
