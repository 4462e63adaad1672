package panel

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/ad2/emulator"
	"gatehouse/internal/emulate"
)

// start runs a program until the test ends; end ends it sooner.
func start(t *testing.T, name string, args ...string) (end func()) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (scripts/peers installs it)", name)
	}
	cmd := exec.Command(path, args...)
	in, err := cmd.StdinPipe() // some of them end when it does
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // it is killed: that is its status
	end = func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		_ = in.Close()
	}
	t.Cleanup(end)
	return end
}

// appears waits for a file.
func appears(t *testing.T, path string) {
	t.Helper()
	for range 500 {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond) // no event tells of a link below /tmp that another program makes
	}
	t.Fatalf("%s does not appear", path)
}

// cable makes two serial devices that are joined, and the house at one of them.
func cable(t *testing.T, s *emulate.Stage, tcp string) (device string, pull func()) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	end := start(t, "socat", "pty,raw,echo=0,link="+a, "pty,raw,echo=0,link="+b)
	appears(t, a)
	appears(t, b)
	join(t, tcp, a)
	return b, end
}

// join carries bytes between a TCP port and a device.
func join(t *testing.T, tcp, device string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(tcp, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); f.Close() })
	go func() { _, _ = io.Copy(f, conn) }() // ends with the connection
	go func() { _, _ = io.Copy(conn, f) }() // ends with the device
}

// TestSerial drives a serial device: what is said and pressed, and that a device
// which vanishes is noticed within a second and found again.
func TestSerial(t *testing.T) {
	t.Parallel()
	stage, tcp := newStage(t)
	device, pull := cable(t, stage, tcp)
	l := newLab(t, device, nil)
	l.known(stage)
	l.do(order(ad2.ArmStay, "1234"))
	l.do(order(ad2.Disarm, "1234"))
	begun := time.Now()
	pull()
	l.saw(ad2.Lost, 0)
	if d := time.Since(begun); d > time.Second {
		t.Errorf("the lost device was noticed after %v", d)
	}
	if _, err := l.panel.Do(context.Background(), order(ad2.ArmStay, "1234")); err == nil {
		t.Error("an order without a device")
	}
	// It comes back under the same name.
	end := start(t, "socat", "pty,raw,echo=0,link="+device, "pty,raw,echo=0,link="+filepath.Join(filepath.Dir(device), "a"))
	defer end()
	appears(t, device)
	appears(t, filepath.Join(filepath.Dir(device), "a"))
	join(t, tcp, filepath.Join(filepath.Dir(device), "a"))
	l.saw(ad2.Lost.Over(), 0)
	l.known(stage)
	l.do(order(ad2.ArmStay, "1234"))
}

// TestTerminal drives the emulated house at its own pseudo-terminal.
func TestTerminal(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "panel")
	stage := emulate.New(emulate.Villa(false), 1)
	if _, err := stage.Terminal(link); err != nil {
		t.Fatal(err)
	}
	stop := runUntilDone(t, stage.Run)
	l := newLab(t, link, nil)
	l.known(stage)
	l.do(order(ad2.ArmStay, "1234"))
	stop()
	l.saw(ad2.Lost, 0)
}

// source finds the source of a real peer: named by an environment variable, or
// unpacked below build.
func source(t *testing.T, variable, folder, file string) string {
	for _, dir := range []string{os.Getenv(variable), filepath.Join("..", "..", "build", folder)} {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			abs, err := filepath.Abs(dir)
			if err != nil {
				t.Fatal(err)
			}
			return abs
		}
	}
	t.Skipf("the source of %s is not at hand: unpack it into build/%s, or name its folder in %s", folder, folder, variable)
	return ""
}

// TestRealSer2sock puts the real ser2sock between panel and Gatehouse.
func TestRealSer2sock(t *testing.T) {
	t.Parallel()
	src := source(t, "SER2SOCK_SOURCE", "ser2sock", "ser2sock.c")
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed (scripts/peers installs it)")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "ser2sock")
	if err := os.WriteFile(filepath.Join(dir, "config.h"), []byte("#define PACKAGE_VERSION \"test\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-O1", "-w", "-I"+dir, "-o", program, filepath.Join(src, "ser2sock.c"), "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("build ser2sock: %v\n%s", err, out)
	}
	stage, tcp := newStage(t)
	device, _ := cable(t, stage, tcp)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	_ = free.Close() // its number is what was wanted
	conf := filepath.Join(dir, "ser2sock.conf")
	text := fmt.Sprintf("device=%s\nbaudrate=115200\nport=%d\nbind_ip=127.0.0.1\npreserve_connections=1\ndevice_open_delay=500\ndaemonize=0\n", device, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, program, "-f", conf, "-g", "1")
	l := newLab(t, fmt.Sprintf("tcp://127.0.0.1:%d", port), nil)
	l.known(stage)
	l.do(order(ad2.ArmStay, "1234"))
	l.do(order(ad2.Disarm, "1234"))
	stage.Do(func(h *emulator.House) { h.Open(9) })
	l.saw(ad2.Fault, 9)
}

// TestRealClient lets the usual Python library talk to our server.
func TestRealClient(t *testing.T) {
	t.Parallel()
	src := source(t, "ALARMDECODER_SOURCE", "alarmdecoder", "alarmdecoder/decoder.py")
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	stage, device := newStage(t)
	l := newLab(t, device, serving(nil))
	l.known(stage)
	host, port, err := net.SplitHostPort(l.address())
	if err != nil {
		t.Fatal(err)
	}
	// The library asks for serial devices when it is loaded; none is needed here.
	const script = `
import sys, types, threading
sys.path.insert(0, sys.argv[1])
for name in ("serial", "serial.tools", "serial.tools.list_ports"):
    sys.modules.setdefault(name, types.ModuleType(name))
serial = sys.modules["serial"]
serial.SerialException = getattr(serial, "SerialException", Exception)
serial.tools = sys.modules["serial.tools"]
serial.tools.list_ports = sys.modules["serial.tools.list_ports"]
from alarmdecoder import AlarmDecoder
from alarmdecoder.devices import SocketDevice
ad = AlarmDecoder(SocketDevice(interface=(sys.argv[2], int(sys.argv[3]))))
armed, configured = threading.Event(), threading.Event()
ad.on_arm += lambda d, stay: armed.set()
ad.on_config_received += lambda d: configured.set()
ad.open()
if not configured.wait(10): sys.exit("no configuration came")
seen = threading.Event()
ad.on_message += lambda d, message: seen.set()
if not seen.wait(15): sys.exit("no message came")
ad.send("12343")
if not armed.wait(10): sys.exit("not armed")
print("version", ad.version_number)
ad.close()
`
	cmd := exec.Command("python3", "-c", script, src, host, port)
	ended := make(chan struct{})
	defer close(ended)
	go func() { // the library waits for a message: the panel speaks more often than a quiet one
		for t := time.NewTicker(500 * time.Millisecond); ; {
			select {
			case <-t.C:
				stage.Do(func(h *emulator.House) { h.Check(2, true); h.Check(2, false) })
			case <-ended:
				t.Stop()
				return
			}
		}
	}()
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "version V2.2a.8.9b-306") {
		t.Fatalf("%v\n%s", err, out)
	}
	l.saw(ad2.Armed, 0)
}
