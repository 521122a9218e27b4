/** -f and -R, apart from the reading so that help needs no parser. */
import type { Option } from './option.ts'

export const fileOptions: readonly Option[] = [
  {
    name: 'file',
    short: 'f',
    kind: 'list',
    value: 'FILE|DIR|-',
    help: 'Manifest, directory of manifests, or - for stdin; may be repeated',
    completes: 'file',
  },
  { name: 'recursive', short: 'R', kind: 'flag', help: 'Also directories in directories' },
]
