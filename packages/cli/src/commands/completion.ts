/** `completion`: the scripts that make shells ask us what could follow. */
import type { Command } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { didYouMean } from '../suggest.ts'

const bash = `# cloudlessctl completion for bash
_cloudlessctl() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  local IFS=$'\\n'
  COMPREPLY=($(cloudlessctl __complete -- "\${words[@]}" 2>/dev/null))
  if [ "\${COMPREPLY[0]}" = ":files" ]; then
    COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
  fi
}
complete -F _cloudlessctl cloudlessctl
`

const zsh = `#compdef cloudlessctl
# cloudlessctl completion for zsh
_cloudlessctl() {
  local -a found
  found=("\${(@f)$(cloudlessctl __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${found[1]}" == ":files" ]]; then
    _files
  else
    compadd -- $found
  fi
}
compdef _cloudlessctl cloudlessctl
`

const fish = `# cloudlessctl completion for fish
function __cloudlessctl_complete
  set -l words (commandline -opc)[2..-1] (commandline -ct)
  set -l found (cloudlessctl __complete -- $words 2>/dev/null)
  if test "$found[1]" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $found
  end
end
complete -c cloudlessctl -f -a '(__cloudlessctl_complete)'
`

const scripts: Readonly<Record<string, string>> = { bash, zsh, fish }

export const completion: Command = {
  description:
    'Prints a script that completes verbs, options and the names of nodes and workloads.',
  examples: [
    { title: 'bash, in ~/.bashrc', line: 'source <(cloudlessctl completion bash)' },
    { title: 'zsh, in ~/.zshrc', line: 'source <(cloudlessctl completion zsh)' },
    {
      title: 'fish',
      line: 'cloudlessctl completion fish > ~/.config/fish/completions/cloudlessctl.fish',
    },
  ],
  arguments: [{ name: 'SHELL', help: 'bash, zsh or fish', completes: 'shell' }],
  options: [],

  async run({ io }, { arguments: [shell] }) {
    const script = scripts[shell!]
    if (script === undefined) {
      throw new UsageError(
        `there is no completion for "${shell}".${didYouMean(shell!, Object.keys(scripts))}`,
      )
    }
    io.out(script)
    return 0
  },
}
