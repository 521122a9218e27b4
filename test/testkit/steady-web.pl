# A web server that ends as good servers do. It keeps connections; on SIGTERM it answers what has reached it, takes no new
# connections, closes those on which nothing more comes, and ends. One process without a module, not even strict: the image
# holds Perl's interpreter and the C library, nothing else.
#
#   /         its version and host name
#   /healthz  "ok"; 503 when its version is "broken"

# Of Linux.
my ($AF_INET, $SOCK_STREAM, $SOL_SOCKET, $SO_REUSEADDR, $IPPROTO_TCP, $TCP_NODELAY) = (2, 1, 1, 2, 6, 1);
my ($F_GETFL, $F_SETFL, $O_NONBLOCK) = (3, 4, 2048);
my ($EINTR, $EAGAIN) = (4, 11);

my $port = 8080;
my $request_bytes_max = 16_384;
# Without a byte for so many rounds of so many seconds, a connection is not in use.
my ($quiet_rounds, $round_seconds) = (10, 0.02);

my $version = defined $ENV{VERSION} ? $ENV{VERSION} : '1';
open my $file, '<', '/proc/sys/kernel/hostname' or die "host name: $!";
my $host = readline $file;
chomp $host;

socket(my $listener, $AF_INET, $SOCK_STREAM, 0) or die "socket: $!";
setsockopt($listener, $SOL_SOCKET, $SO_REUSEADDR, 1) or die "setsockopt: $!";
bind($listener, pack('S n a4 x8', $AF_INET, $port, "\0\0\0\0")) or die "bind: $!";
listen($listener, 1024) or die "listen: $!";
set_nonblocking($listener);

my $is_ending = 0;
$SIG{TERM} = $SIG{INT} = sub { $is_ending = 1 };
$SIG{PIPE} = 'IGNORE';

my %connections; # By file number: socket, in, out, is_last.
my $quiet = 0;
$| = 1;
print "serving version $version on port $port as $host\n";

for (;;) {
  my ($reading, $writing) = ('', '');
  vec($reading, fileno $listener, 1) = 1 if defined $listener;
  for my $number (keys %connections) {
    vec($reading, $number, 1) = 1;
    vec($writing, $number, 1) = 1 if length $connections{$number}{out};
  }
  my $found = select $reading, $writing, undef, $is_ending ? $round_seconds : 5;
  if ($found > 0) {
    accept_all() if defined $listener && vec($reading, fileno $listener, 1);
    for my $number (keys %connections) {
      receive($number) if vec($reading, $number, 1);
      send_out($number) if exists $connections{$number} && vec($writing, $number, 1);
    }
  }
  next unless $is_ending;
  if (defined $listener) {
    # Who had connected before the end is let in.
    accept_all();
    close $listener;
    undef $listener;
  }
  $quiet = $found > 0 ? 0 : $quiet + 1;
  exit 0 if $quiet >= $quiet_rounds || !%connections;
}

sub accept_all {
  while (accept(my $socket, $listener)) {
    set_nonblocking($socket);
    setsockopt($socket, $IPPROTO_TCP, $TCP_NODELAY, 1);
    $connections{fileno $socket} = { socket => $socket, in => '', out => '', is_last => 0 };
  }
}

sub receive {
  my ($number) = @_;
  my $connection = $connections{$number};
  my $count = sysread $connection->{socket}, $connection->{in}, 16_384, length $connection->{in};
  return if !defined $count && ($! == $EAGAIN || $! == $EINTR);
  return drop($number) if !$count || length $connection->{in} > $request_bytes_max;
  while ($connection->{in} =~ s/^GET (\S+) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n//) {
    my ($path, $headers) = ($1, $2);
    $connection->{is_last} = 1 if $is_ending || $headers =~ /^connection: *close/mi;
    $connection->{out} .= response_to($path, $connection->{is_last});
  }
  send_out($number);
}

sub response_to {
  my ($path, $is_last) = @_;
  my $is_sick = $path eq '/healthz' && $version eq 'broken';
  my $status = $is_sick ? '503 Service Unavailable' : '200 OK';
  my $body = $path ne '/healthz' ? "version $version on $host\n" : $is_sick ? "broken\n" : "ok\n";
  return "HTTP/1.1 $status\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\n"
    . ($is_last ? "Connection: close\r\n" : '') . "\r\n$body";
}

sub send_out {
  my ($number) = @_;
  my $connection = $connections{$number};
  while (length $connection->{out}) {
    my $count = syswrite $connection->{socket}, $connection->{out};
    return if !defined $count && ($! == $EAGAIN || $! == $EINTR);
    return drop($number) if !defined $count;
    substr($connection->{out}, 0, $count) = '';
  }
  drop($number) if $connection->{is_last};
}

sub drop {
  my ($number) = @_;
  close $connections{$number}{socket};
  delete $connections{$number};
}

sub set_nonblocking {
  my ($handle) = @_;
  my $flags = fcntl $handle, $F_GETFL, 0 or die "fcntl: $!";
  fcntl $handle, $F_SETFL, $flags | $O_NONBLOCK or die "fcntl: $!";
}
