#!/usr/bin/perl
#
# links.pl - whether what the documents point to is there
#
# - the file of each link, and the heading of its #anchor, as GitHub names it
# - a path of this tree in `backticks`: lib/locks.h, or a pattern
# - the stages in `scripts/test --only STAGES`
# - READMEs/README.*.md named in a comment of the sources
#
# Links to other machines are not followed; http: and https: it has to be, with
# a name of a host.
#
# usage: links.pl [--self-test]
#
# SPDX-License-Identifier: MIT

use strict;
use warnings;
use File::Basename;

# A path of ours.  lib/pkgconfig and the like are those of an installation.
my $ours = qr{(?:\.ci|cmake|contrib|include|minimal-examples|READMEs|scripts
	       |test-apps)/[\w./*+-]*|lib/[\w*-]+\.[ch]\b}x;
my @wrong;

sub wrong
{
	push @wrong, join '', @_;
}

# What is no text: blocks, which keep their lines, and comments
sub prose
{
	my ($text) = @_;

	$text =~ s/^(\s*```.*?^\s*```)/$1 =~ tr,\n,,cdr/gemsr =~
		s/(<!--.*?-->)/$1 =~ tr,\n,,cdr/gesr;
}

# Without code in backticks, of one line or two
sub without_code
{
	my ($text) = @_;

	return $text =~ s/(``.*?``|`[^`\n]*(?:\n[^`\n]+)?`)/
		$1 =~ tr,\n,,cdr/gesr;
}

# The names that GitHub gives to headings, and <a id="">
sub anchors_of
{
	my ($text) = @_;
	my (%is, %seen);

	$is{$1} = 1 while $text =~ /<a id="([^"]+)"/g;
	for (prose($text) =~ /^#{1,6} +(.*?) *#*$/mg) {
		my $name = lc s/!?\[([^]]*)\]\([^)]*\)/$1/gr;

		$name =~ s/[^\w\- ]//g;
		$name =~ tr/ /-/;
		my $n = $seen{$name}++;
		$is{$n ? "$name-$n" : $name} = 1;
	}

	return \%is;
}

# from/../to/it as to/it
sub path
{
	my ($from, $to) = @_;
	my @parts;

	for (split m{/}, dirname($from) . "/$to") {
		next if $_ eq '.' || $_ eq '';
		if ($_ eq '..' && @parts) {
			pop @parts;
		} else {
			push @parts, $_;
		}
	}

	return join '/', @parts;
}

# $there is asked for a path: its text, '' for a folder or another kind of
# file, or undef
sub links_in
{
	my ($file, $text, $there) = @_;
	my $prose = without_code(prose($text));

	while ($prose =~ /(?:\]\(|\b(?:href|src|srcset)=")([^)\s"]+)/g) {
		my $to = $1;
		my $line = 1 + (substr($prose, 0, $-[0]) =~ tr/\n//);

		if ($to =~ /^\w+:/) {
			wrong("$file:$line: not to another machine: $to")
				unless $to =~ m{^https?://[\w-]+(\.[\w-]+)+};
			next;
		}
		my ($name, $anchor) = $to =~ /^([^#]*)(?:#(.*))?$/;
		my $path = $name eq '' ? $file : path($file, $name);
		my $is = $there->($path);

		wrong("$file:$line: no $path") unless defined $is;
		wrong("$file:$line: no heading #$anchor in $path")
			if defined $is && defined $anchor &&
				!anchors_of($is)->{$anchor};
	}
}

sub paths_in
{
	my ($file, $text, $there, $stages) = @_;
	my $prose = prose($text);

	while ($prose =~ m{`(?:\./)?($ours)(?: [^`]*)?`}g) {
		my $path = $1 =~ s{[/.]$}{}r;
		my $line = 1 + (substr($prose, 0, $-[0]) =~ tr/\n//);

		wrong("$file:$line: no $path") unless defined $there->($path);
	}
	while ($text =~ m{scripts/test --only\s+([a-z0-9,-]+)}g) {
		my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);

		for (split /,/, $1) {
			wrong("$file:$line: no stage $_") unless $stages->{$_};
		}
	}
}

sub look
{
	my ($documents, $sources, $there, $stages) = @_;

	for my $file (sort keys %$documents) {
		links_in($file, $documents->{$file}, $there);
		paths_in($file, $documents->{$file}, $there, $stages);
	}
	for my $file (sort keys %$sources) {
		for ($sources->{$file} =~ /\b(?:READMEs\/)?README\.[a-z-]+\.md/g) {
			my $name = s{^(?:READMEs/)?}{READMEs/}r;

			wrong("$file: no $name") unless defined $there->($name);
		}
	}
}

# --- made-up ones -------------------------------------------------------------

sub finds
{
	my ($what, $text, $source) = @_;
	my %tree = ('A.md' => $text, 'x/B.md' => "# B\n\n## B c: `d()`, B\n",
		    'lib/c.c' => '', 'scripts/test' => '',
		    'READMEs/README.e.md' => '');

	look({ 'A.md' => $text }, { 'c.c' => $source // '' },
	     sub { $tree{$_[0]} }, { unit => 1 });
	my $said = join "\n", splice @wrong;

	return if $what eq '' ? $said eq '' : $said =~ /\Q$what\E/;
	print "not found to be wrong: $what\nbut: $said\n";
	exit 1;
}

sub test_itself
{
	finds('', "# A\n# A\n[a](#a-1), [b](x/B.md#b-c-d-b), `lib/c.c`, <a id=" .
		"\"i\"></a>\n[c](x/../lib/c.c), [i](#i), <img src=\"lib/c.c\">\n" .
		"`[no](no)`\n```\n[no](no)\n```\n[d](https://example.org/)\n" .
		"`scripts/test --only unit`, `build/x`", 'README.e.md');
	finds('A.md:1: no x/C.md', '[b](x/C.md)');
	finds('A.md:5: no y', "a\n```\nx\n```\n[b](y)");
	finds('no heading #a-2', "# A\n# A\n[a](#a-2)");
	finds('no heading #b-c-d in x/B.md', '[b](x/B.md#b-c-d)');
	finds('no lib/d.c', 'see `lib/d.c`');
	finds('no lib/d.c', '<img src="lib/d.c">');
	finds('not to another machine: http://localhost/', '[a](http://localhost/)');
	finds('no stage mint', 'run `./scripts/test --only unit,mint`');
	finds('c.c: no READMEs/README.f.md', '', '/* see README.f.md */');
	print "links: self-test passed\n";
}

# --- the tree -----------------------------------------------------------------

sub read_file
{
	my ($name) = @_;

	local $/;
	open my $in, '<:encoding(UTF-8)', $name or die "$name: $!\n";

	return scalar(<$in>) // '';
}

sub there
{
	my ($path) = @_;

	return $path =~ /\.md$/ && -f $path ? read_file($path) :
		-e $path || ($path =~ /\*/ && glob $path) ? '' : undef;
}

binmode STDOUT, ':encoding(UTF-8)';
if (@ARGV && $ARGV[0] eq '--self-test') {
	test_itself();
	exit 0;
}

my @documents = `test-apps/docs/documents.sh` =~ /\S+/g;
my @sources = grep { -f && -T } map { glob } qw(include/*.h lib/* scripts/*
	cmake/* CMakeLists.txt test-apps/* test-apps/*/* minimal-examples/*/*/*);
my %stages = map { $_ => 1 } `scripts/test --list` =~ /^(\S+)/mg;

look({ map { $_ => read_file($_) } @documents },
     { map { $_ => read_file($_) } grep { !m{^test-apps/docs/} } @sources },
     \&there, \%stages);
print "$_\n" for @wrong;
print scalar @documents, " documents, ", scalar @sources, " sources\n";
exit(@wrong ? 1 : 0);
