package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/migrate"
)

// fail2banOptions are the flags of import fail2ban.
type fail2banOptions struct {
	dry      bool
	database string // in place of the one that fail2ban.conf names
	bans     bool   // take the bans over, too
}

// importFail2banCommand takes an installation of fail2ban over.
func importFail2banCommand(e *env) *cobra.Command {
	var o fail2banOptions
	c := &cobra.Command{
		Use:   "fail2ban [DIR] [--dry-run] [--database FILE] [--no-bans]",
		Short: "take an installation of fail2ban over: jails, limits, who is ignored, bans and history",
		Long: "Reads the configuration of fail2ban (default /etc/fail2ban) and writes one of Gatehouse that does the same: each " +
			"enabled jail becomes an entry, with our own rule where it sees at least as much, else with the jail's filter as it is. " +
			"At each thing that could not be carried over stands a comment with what to do instead. Nothing of fail2ban is changed or run.\n\n" +
			"The file is the one that --config names, or the default one. It appears whole or not at all; a file that was there is " +
			"kept beside it. Then the bans in fail2ban's database are taken over: those in force for what is left of their time, the " +
			"others as history, so that who comes back is known. Importing again changes nothing that is the same.\n\n" +
			"With --dry-run the configuration is printed, and nothing is written. With --json standard output is one document: " +
			"{config, changed, kept, jails, remarks, bans, text}. Exit 1 if there is no fail2ban, or if its jails cannot be read.\n\n" +
			"What each command of fail2ban's programs is here: gatehouse help fail2ban.",
		Example: "gatehouse import fail2ban --dry-run\ngatehouse --config ./new.yaml import fail2ban /srv/old/etc/fail2ban --no-bans",
		Args:    takes(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "/etc/fail2ban"
			if len(args) == 1 {
				dir = args[0]
			}
			return e.importFail2ban(c.Context(), dir, o)
		},
	}
	c.Flags().BoolVar(&o.dry, "dry-run", false, "print the configuration, write nothing, ban nobody")
	c.Flags().StringVar(&o.database, "database", "", "fail2ban's database `FILE` (default: as fail2ban.conf says)")
	var none bool
	c.Flags().BoolVar(&none, "no-bans", false, "leave bans and history where they are")
	c.PreRun = func(*cobra.Command, []string) { o.bans = !none }
	return c
}

// takenOver is the document of import fail2ban.
type takenOver struct {
	Config  string           `json:"config"`
	Changed bool             `json:"changed"`        // the file was written
	Kept    string           `json:"kept,omitempty"` // where the file lies that was there before
	DryRun  bool             `json:"dry_run"`
	Jails   []migrate.Jail   `json:"jails"`
	Remarks []migrate.Remark `json:"remarks"` // what could not be carried over
	Bans    *takenBans       `json:"bans"`    // null: they were not asked for, or could not be read
	Text    string           `json:"text,omitempty"`
}

type takenBans struct {
	Database string `json:"database"`
	InForce  int    `json:"in_force"` // in the database
	History  int    `json:"history"`  // the same, over
	Other    int    `json:"other"`    // of what is no address
	api.Adopted
}

func (e *env) importFail2ban(ctx context.Context, dir string, o fail2banOptions) error {
	folder, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "jail.conf")); err != nil {
		if _, err := os.Stat(filepath.Join(folder, "jail.local")); err != nil {
			return failed("name the folder that holds jail.conf", "import fail2ban: there is no configuration of fail2ban in %s", folder)
		}
	}
	m, err := migrate.ReadFail2ban(os.DirFS(folder), migrate.Fail2banOptions{
		Folder: folder, ReadFile: readSmall,
		Port: func(proto, name string) (int, bool) { n, err := net.LookupPort(proto, name); return n, err == nil },
	})
	if err != nil {
		return filterFailure(folder, "import fail2ban", err)
	}
	text, c, err := e.completed(m.Text)
	if err != nil {
		return err
	}
	doc := takenOver{Config: e.configPath(), DryRun: o.dry, Jails: m.Jails, Remarks: m.Remarks}
	if doc.Jails == nil {
		doc.Jails = []migrate.Jail{}
	}
	if doc.Remarks == nil {
		doc.Remarks = []migrate.Remark{}
	}
	if o.dry {
		doc.Text = string(text)
	} else if doc.Changed, doc.Kept, err = replaceFile(doc.Config, text); err != nil {
		return err
	}
	if o.bans {
		doc.Bans, err = e.takeBans(ctx, m, c, o)
		if err != nil {
			return err
		}
	}
	return e.writeTakenOver(doc)
}

// maxIgnoreFile bounds a file that ignoreip names, in bytes.
const maxIgnoreFile = 1 << 20

func readSmall(name string) ([]byte, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxIgnoreFile {
		return nil, errors.New("it is no file of at most 1 MB")
	}
	return os.ReadFile(name)
}

// completed adds to the text what the file that is there says of where things lie,
// and checks the whole.
func (e *env) completed(text []byte) ([]byte, *config.Config, error) {
	o := config.Options{UID: os.Geteuid(), Env: os.Getenv, RuleExists: ruleExists, FilterProblems: app.FilterProblems}
	if old, err := e.settings(); err == nil {
		state, socket := config.DefaultPaths(os.Geteuid(), os.Getenv)
		var b strings.Builder
		for _, kept := range []struct{ key, value, usual string }{
			{"state", old.State, state}, {"socket", old.Socket, socket}, {"rules", old.Rules, defaultRules},
		} {
			if kept.value != kept.usual {
				fmt.Fprintf(&b, "%s: %s\n", kept.key, migrate.Quoted(kept.value))
			}
		}
		if b.Len() > 0 {
			text = append(text, "\n# As it was in the configuration before.\n"+b.String()...)
		}
	}
	c, err := config.Parse(e.configPath(), text, o)
	if err != nil {
		return nil, nil, settingsFailure(e.configPath(), err)
	}
	return text, c, nil
}

// replaceFile gives a file this content, whole or not at all. A file that was there
// and says something else is kept under the name that is returned.
func replaceFile(path string, text []byte) (changed bool, kept string, err error) {
	old, err := os.ReadFile(path)
	switch {
	case err == nil && string(old) == string(text):
		return false, "", nil
	case err == nil:
		if kept, err = keepFile(path); err != nil {
			return false, "", err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, "", fileFailure("read", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, "", fileFailure("make", filepath.Dir(path), err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*.yaml")
	if err != nil {
		return false, "", fileFailure("write", path, err)
	}
	defer os.Remove(f.Name()) // where it was renamed there is nothing
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return false, "", fileFailure("write", path, err)
	}
	return true, kept, nil
}

// keepFile gives the file a second name beside it, one that is free.
func keepFile(path string) (string, error) {
	for n := 1; ; n++ {
		name := path + ".before-fail2ban"
		if n > 1 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		err := os.Link(path, name)
		switch {
		case err == nil:
			return name, nil
		case !errors.Is(err, fs.ErrExist) || n > 1000:
			return "", fileFailure("keep", path, err)
		}
	}
}

// takeBans takes bans and history over. A database that cannot be read is told, and
// left out.
func (e *env) takeBans(ctx context.Context, m *migrate.Fail2ban, c *config.Config, o fail2banOptions) (*takenBans, error) {
	switch {
	case o.database != "":
		m.Database = o.database
	case m.Database != "" && m.Folder != "/etc/fail2ban":
		// A copy of another machine's: its database lies beside it, or has to be named.
		root, under := strings.CutSuffix(m.Folder, "/etc/fail2ban")
		if m.Database = root + m.Database; !under || !exists(m.Database) {
			e.remark("bans and history are left out: name fail2ban's database with --database")
			return nil, nil
		}
	}
	if m.Database == "" {
		e.remark("fail2ban keeps no database: there are no bans to take over")
		return nil, nil
	}
	full, err := filepath.Abs(m.Database)
	if err != nil {
		return nil, err
	}
	m.Database = full
	bans, err := migrate.ReadBans(ctx, full, "", e.now())
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		e.remark("there is no database %s: there are no bans to take over", full)
		return nil, nil
	case err != nil:
		e.remark("bans and history are left out: %v; try again while fail2ban is stopped, or name another with --database", err)
		return nil, nil
	}
	doc := &takenBans{Database: full, Other: bans.Other, Adopted: api.Adopted{Refused: []api.Answer{}}}
	ds := m.Decisions(bans, e.now(), c.Forget)
	for i := range ds {
		if ds[i].Life(e.now()) > 0 {
			doc.InForce++
		} else {
			doc.History++
		}
	}
	if o.dry || len(ds) == 0 {
		return doc, nil
	}
	doc.Adopted, err = e.adopt(ctx, c, ds)
	return doc, err
}

// adopt hands bans to the daemon or, where none runs, to the ledger: the daemon puts
// them in force when it starts.
func (e *env) adopt(ctx context.Context, c *config.Config, ds []gate.Decision) (api.Adopted, error) {
	socket := c.Socket
	if e.socket != "" {
		socket = e.socket
	}
	client := api.NewClient(socket)
	defer client.Close()
	bar := e.progress("taking over", int64(len(ds)))
	out, err := client.Adopt(ctx, ds, func(n int) { bar.set(int64(n)) })
	bar.end()
	if !errors.Is(err, api.ErrNoDaemon) {
		return out, err
	}
	return adoptOffline(ctx, c, ds, e.now())
}

// adoptOffline writes bans into the ledger of a daemon that does not run. Whom the
// configuration allows is left out; who is this machine, or is logged in, is found
// out by the daemon when it starts.
func adoptOffline(ctx context.Context, c *config.Config, ds []gate.Decision, now time.Time) (api.Adopted, error) {
	out := api.Adopted{Refused: []api.Answer{}}
	l, err := ledger.Open(c.State, ledger.Options{Forget: c.Forget})
	if err != nil {
		return out, err
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1) // one result
	go func() { ended <- l.Run(run) }()
	var past, live []gate.Decision
	for _, d := range ds {
		switch {
		case d.Life(now) == 0:
			past = append(past, d)
		case allowedBy(c, d.Subject) != "":
			out.Refused = append(out.Refused, api.Answer{Subject: d.Subject.String(), Refused: d.Subject.String() + " is allowed by " + allowedBy(c, d.Subject)})
		default:
			live = append(live, d)
		}
	}
	l.Append(ledger.Txn{Decisions: past, History: true, Done: func(rs []gate.Record, _ error) { out.Recorded = len(rs) }})
	l.Append(ledger.Txn{Decisions: live, Done: func(rs []gate.Record, _ error) { out.Banned = len(rs) }})
	err = l.Flush(ctx)
	stop()
	err = errors.Join(err, <-ended, l.Close())
	out.Unchanged = len(past) + len(live) - out.Recorded - out.Banned
	return out, err
}

// allowedBy returns the entry of the allow list that a subject lies in.
func allowedBy(c *config.Config, s gate.Subject) string {
	for _, a := range c.Allow {
		if a.Prefix.IsValid() && a.Prefix.Overlaps(s.Prefix()) {
			return a.String()
		}
	}
	return ""
}

// writeTakenOver tells what became of it.
func (e *env) writeTakenOver(doc takenOver) error {
	if e.json {
		return e.document(doc)
	}
	w := e.out
	if doc.DryRun {
		fmt.Fprint(e.out, doc.Text)
		w = e.err // so that the text alone can be put into a file
		fmt.Fprintln(w)
	}
	for _, j := range doc.Jails {
		line := fmt.Sprintf("jail %s: %s", j.Name, j.By)
		if j.Remarks > 0 {
			line += "; " + counted(j.Remarks, "thing") + " not carried over"
		}
		fmt.Fprintln(w, harmless(line))
	}
	if len(doc.Jails) == 0 {
		fmt.Fprintln(w, "no jail is enabled; what is installed here is watched")
	}
	if b := doc.Bans; b != nil {
		line := fmt.Sprintf("%s: %s in force, %s of the past", b.Database, counted(b.InForce, "ban"), grouped(b.History))
		if !doc.DryRun {
			line += fmt.Sprintf("; taken over: %s and %s, known already: %s", grouped(b.Banned), grouped(b.Recorded), grouped(b.Unchanged))
		}
		if b.Other > 0 {
			line += fmt.Sprintf("; %s of what is no address left out", counted(b.Other, "ban"))
		}
		fmt.Fprintln(w, harmless(line))
		for i, a := range b.Refused {
			if i == few {
				fmt.Fprintf(w, "  … %s more\n", grouped(len(b.Refused)-few))
				break
			}
			fmt.Fprintf(w, "  left out %s: %s\n", harmless(a.Subject), harmless(a.Refused))
		}
	}
	switch {
	case doc.DryRun:
		fmt.Fprintln(w, "nothing was written")
	case !doc.Changed:
		fmt.Fprintf(w, "%s says so already; nothing was written\n", harmless(doc.Config))
	default:
		fmt.Fprintf(w, "written to %s", harmless(doc.Config))
		if doc.Kept != "" {
			fmt.Fprintf(w, "; what was there is kept as %s", harmless(doc.Kept))
		}
		fmt.Fprintln(w)
		read := ""
		switch n := len(doc.Remarks); n {
		case 0:
		case 1:
			read = " (one thing stands behind NOT CARRIED OVER)"
		default:
			read = fmt.Sprintf(" (%d things stand behind NOT CARRIED OVER)", n)
		}
		fmt.Fprintf(w, "next: read it%s, then: gatehouse run --observe\n", read)
	}
	return nil
}
