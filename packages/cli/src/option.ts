/** What an option of a verb is, as data: parsing, help and completion are made from it. */

/** What a word names: the shell completes most of them from the cluster or the configuration. */
export type Completion = 'node' | 'workload' | 'token' | 'container' | 'context' | 'shell' | 'file'

/**
 * `flag`: present or not; `--x=false` and `--no-x` turn it off. `list`: may be repeated. `pairs`: repeated or
 * comma-separated KEY=VALUE. `duration`: "30s", in milliseconds when read.
 */
export type OptionKind = 'flag' | 'text' | 'list' | 'pairs' | 'integer' | 'duration'

export interface Option {
  readonly name: string
  readonly short?: string
  readonly kind: OptionKind
  /** How the value is called in help; the kind's own word when not given. */
  readonly value?: string
  readonly help: string
  /** As it would be typed. */
  readonly default?: string
  readonly choices?: readonly string[]
  /** Accepted, and left out of help. */
  readonly hidden?: true
  readonly completes?: Completion
}
