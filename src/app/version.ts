import { gitVersion, minorVersion } from '#kube/version.ts';

/** What `k3ts --version` prints. */
export const versionText = `k3ts version ${gitVersion}\nnode version ${process.version}`;

/** The body of /version: k8s.io/apimachinery pkg/version Info. */
export function buildInfo() {
  return {
    major: '1',
    minor: String(minorVersion),
    emulationMajor: '1',
    emulationMinor: String(minorVersion),
    minCompatibilityMajor: '1',
    minCompatibilityMinor: String(minorVersion - 1),
    gitVersion,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '',
    goVersion: '',
    compiler: 'v8',
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}
