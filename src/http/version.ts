/** Which Kubernetes release the answers are those of (spec 7.3). */
const MAJOR = '1';
const MINOR = '36';
const PATCH = '4';

export interface BuildInfo {
  /** Of the listwatch package. */
  readonly packageVersion: string;
  readonly gitCommit?: string;
  /** RFC 3339. */
  readonly buildDate?: string;
}

/** The document of `/version`. gitVersion parses as a semantic version; what follows the plus names this program. */
export function versionDocument(build: BuildInfo) {
  return {
    major: MAJOR,
    minor: MINOR,
    emulationMajor: MAJOR,
    emulationMinor: MINOR,
    minCompatibilityMajor: MAJOR,
    minCompatibilityMinor: String(Number(MINOR) - 1),
    gitVersion: `v${MAJOR}.${MINOR}.${PATCH}+listwatch-${build.packageVersion}`,
    gitCommit: build.gitCommit ?? '',
    gitTreeState: build.gitCommit === undefined ? '' : 'clean',
    buildDate: build.buildDate ?? '1970-01-01T00:00:00Z',
    goVersion: `node${process.versions.node}`,
    compiler: 'node',
    platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  };
}
