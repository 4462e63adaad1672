package main

import "github.com/spf13/cobra"

// completionCommand prints what makes a shell complete our commands.
func completionCommand(e *env) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "print what makes a shell complete commands and flags",
		Example: "gatehouse completion bash | sudo tee /etc/bash_completion.d/gatehouse\n" +
			"gatehouse completion zsh > \"${fpath[1]}/_gatehouse\"",
		Args:      takes(1, 1),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(e.out, true)
			case "zsh":
				return root.GenZshCompletion(e.out)
			case "fish":
				return root.GenFishCompletion(e.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(e.out)
			}
			return misused("usage: "+useLine(c), "completion: there is no completion for %q", args[0])
		},
	}
}
