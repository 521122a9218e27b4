/** Coverage added up by package, and what each must reach. */

export interface FileCoverage {
  readonly path: string
  readonly linesFound: number
  readonly linesHit: number
  readonly branchesFound: number
  readonly branchesHit: number
}

export interface PackageCoverage {
  readonly name: string
  /** 0 to 100. */
  readonly linesPercent: number
  readonly branchesPercent: number
}

/** Of every package, in percent. */
const linesPercentMin = 70
const branchesPercentMin = 60

/** What is critical must reach more: a mistake there is a hole or a loss. */
const linesPercentMinOf: Readonly<Record<string, number>> = { identity: 100 }

/** Reads the records of an lcov file. */
export function parseLcov(text: string): FileCoverage[] {
  return text
    .split('end_of_record')
    .filter((record) => record.includes('SF:'))
    .map((record) => ({
      path: /^SF:(.+)$/m.exec(record)?.[1] ?? '',
      linesFound: numberOf(record, 'LF'),
      linesHit: numberOf(record, 'LH'),
      branchesFound: numberOf(record, 'BRF'),
      branchesHit: numberOf(record, 'BRH'),
    }))
}

export function addByPackage(files: readonly FileCoverage[]): PackageCoverage[] {
  const byName = Map.groupBy(files, ({ path }) => /packages\/([^/]+)\//.exec(path)?.[1] ?? 'other')
  return [...byName]
    .map(([name, members]) => ({
      name,
      linesPercent: percent(sum(members, 'linesHit'), sum(members, 'linesFound')),
      branchesPercent: percent(sum(members, 'branchesHit'), sum(members, 'branchesFound')),
    }))
    .toSorted((left, right) => left.name.localeCompare(right.name))
}

/** One sentence for each package that is below its minimum. */
export function shortfalls(packages: readonly PackageCoverage[]): string[] {
  return packages.flatMap(({ name, linesPercent, branchesPercent }) => {
    const linesMin = linesPercentMinOf[name] ?? linesPercentMin
    return [
      ...(linesPercent < linesMin
        ? [`${name}: ${linesPercent.toFixed(1)} % of lines, at least ${linesMin} % wanted`]
        : []),
      ...(branchesPercent < branchesPercentMin
        ? [`${name}: ${branchesPercent.toFixed(1)} % of branches, at least ${branchesPercentMin} %`]
        : []),
    ]
  })
}

export function formatCoverage(packages: readonly PackageCoverage[]): string {
  const rows = packages.map(
    ({ name, linesPercent, branchesPercent }) =>
      `${name.padEnd(16)}${linesPercent.toFixed(1).padStart(8)}${branchesPercent.toFixed(1).padStart(10)}`,
  )
  return ['package          lines %  branches %', ...rows].join('\n')
}

function numberOf(record: string, key: string): number {
  return Number(new RegExp(`^${key}:(\\d+)$`, 'm').exec(record)?.[1] ?? 0)
}

function sum(files: readonly FileCoverage[], key: Exclude<keyof FileCoverage, 'path'>): number {
  return files.reduce((total, file) => total + file[key], 0)
}

function percent(hit: number, found: number): number {
  return found === 0 ? 100 : (100 * hit) / found
}
