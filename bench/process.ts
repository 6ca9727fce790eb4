/** What the kernel tells of a process: memory, CPU, wake-ups, bytes written. */
import { readdirSync, readFileSync } from 'node:fs';

/** A figure in kB of /proc/PID/status, such as VmRSS or RssAnon; 0 where it is missing. */
export const statusKilobytes = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);

export const megabytes = (pid: number, name: string): string => `${(statusKilobytes(pid, name) / 1024).toFixed(0)} MB`;

/** CPU seconds that a process has used, all threads. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** How often the threads of a process went to sleep and woke again. */
export function wakeups(pid: number): number {
  let sum = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return sum;
}

export const writtenBytes = (pid: number): number => Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
