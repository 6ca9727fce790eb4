/** Carries out probes against real containers. */
import { minorVersion } from '#kube/version.ts';
import type { Cri } from '../cri/client.ts';
import { runExec, runGrpc, runHttp, runTcp } from './handlers.ts';
import type { RunProbe } from './prober.ts';

const userAgent = `kube-probe/1.${minorVersion}`;

export const runProbe =
  (cri: () => Cri): RunProbe =>
  (probe, container, record, podIp) => {
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    const target = { container, containerId: record.id, podIp };
    if (probe.exec !== undefined) return runExec(cri(), record.id, probe.exec.command ?? [], timeoutMs);
    if (probe.httpGet !== undefined) return runHttp(probe.httpGet, target, timeoutMs, userAgent);
    if (probe.tcpSocket !== undefined) return runTcp(probe.tcpSocket, target, timeoutMs);
    if (probe.grpc !== undefined) return runGrpc(probe.grpc, target, timeoutMs, userAgent);
    return Promise.reject(new Error('missing probe handler'));
  };
